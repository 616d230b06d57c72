"""All effects of a plant at once: how torques, friction, pushes and measurements follow from them.

effects: name of an effect -> its arrays, p; what a plant does not have is not there, and costs nothing. The effects act
in the order of BUILT_IN, and after these the ones from outside by name.
"""

from collections.abc import Mapping
from typing import Any

from armctl.errors import UsageError
from armctl.plant.effects.dry_friction import DryFriction
from armctl.plant.effects.effect import Effect, acts, find
from armctl.plant.effects.encoder import Encoder
from armctl.plant.effects.lag import Lag
from armctl.plant.effects.latency import Latency
from armctl.plant.effects.noise import Noise
from armctl.plant.effects.payload import Switch
from armctl.plant.effects.push import Push
from armctl.plant.effects.ripple import Ripple
from armctl.plant.effects.strength import Strength
from armctl.plant.effects.viscous import Viscous
from armctl.plant.observe import Measurement
from armctl.typing import Array

Effects = Mapping[str, Any]

BUILT_IN: tuple[type[Effect], ...] = (
    Latency, Lag, Strength, Ripple, Viscous, DryFriction, Push, Switch, Noise, Encoder,
)  # fmt: skip


class Acting:
    """What the effects of one plant, or of a batch of plants, do together.

    Which of them act where is found out once, so that a physics step of one arm in plain NumPy does not have to.
    """

    def __init__(self, effects: Effects) -> None:
        own = sorted(effects.keys() - {cls.name for cls in BUILT_IN})
        present = [(cls, effects[cls.name]) for cls in (*BUILT_IN, *map(find, own)) if cls.name in effects]

        def those(function: str) -> list[tuple[type[Effect], Any]]:
            return [(cls, p) for cls, p in present if acts(cls, function)]

        self._start, self._torque, self._wrench = those("start"), those("torque"), those("wrench")
        self._dry, self._measured = those("dry_friction"), those("measured")
        self._damping = _total([cls.damping(p) for cls, p in those("damping")])
        # motors that set velocities know of all that acts on torques the torque constant alone, as a bound
        self.torque_constant: Array = 1.0 + effects.get("actuator_strength", 0.0)
        self.remembering = {cls.name for cls, _ in self._start}
        self.on_sensors = bool(self._measured)
        self.on_torques = bool(self._torque or self._wrench or self._dry or self._damping is not None)

    def start(self, hold: Array) -> dict[str, Any]:
        """What effects remember at the reset, by name. hold: (..., n) N m that holds the nominal arm still."""
        return {cls.name: cls.start(p, hold) for cls, p in self._start}

    def torque(
        self, memory: Mapping[str, Any], tau: Array, q: Array, qd: Array, time: Array, dt: float
    ) -> tuple[Array, dict[str, Any]]:
        """What arrives at the joints of the motors' saturated torque tau (..., n) N m, and the effects' new memory."""
        kept = dict(memory)
        for cls, p in self._torque:
            tau, new = cls.torque(p, memory.get(cls.name), tau, q, qd, time, dt)
            if new is None:
                continue
            if cls.name not in memory:
                raise UsageError(f"The effect {cls.name!r} remembers something, but not from when: define its start().")
            kept[cls.name] = new
        return tau, kept

    def damping(self) -> Array | None:
        """Viscous friction of all effects together, (..., n) N m s/rad; None where there is none."""
        return self._damping

    def dry_friction(self, qd: Array) -> Array | None:
        """Most that dry friction can hold at qd (..., n) rad/s, (..., n) N m; None where there is none."""
        return _total([cls.dry_friction(p, qd) for cls, p in self._dry])

    def wrench(self, time: Array, dt: float) -> Array | None:
        """What pushes the tip, (..., 6) N and N m, world frame; None where nothing ever does."""
        return _total([cls.wrench(p, time, dt) for cls, p in self._wrench])

    def measured(self, m: Measurement, seed: Array, step: Array) -> Measurement:
        """What the sensors make of a joint state m. seed, step: (...) uint32."""
        for cls, p in self._measured:
            m = cls.measured(p, m, seed, step)
        return m


def _total(parts: list[Array]) -> Array | None:
    return sum(parts[1:], parts[0]) if parts else None
