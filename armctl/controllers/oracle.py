"""The oracle: told the true plant and its delay, it acts upon them as the tracker acts upon what it believes. A limit.

It knows loads and their exchange, inertia errors, friction with its rise at rest, torque constants, ripple, the tilt of
the base and a constant delay; not what is random (noise, jitter), pushes, lag of the motors, or effects of the user's.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import gain
from armctl.controllers.believed_plant import Plant
from armctl.controllers.certainty_equivalence import CertaintyEquivalence
from armctl.plant.effects.dry_friction import DryFriction, DryFrictionParams
from armctl.plant.effects.ripple import Ripple, RippleParams
from armctl.plant.observe import Measurement, Window
from armctl.plant.scenario import PlantParams
from armctl.rigid import GRAVITY
from armctl.typing import Array


class Truth(NamedTuple):
    """What the oracle is told, (...) each."""

    plant: Plant
    next_load: Array  # (..., 10) as Plant.load
    exchange: Array  # (...) s, when the next load takes the place of the first
    rubbing: DryFrictionParams
    ripple: RippleParams
    delay: Array  # (...) control steps


class Knowledge(NamedTuple):
    """Memory: what was measured and commanded last, and the truth."""

    q: Array  # (..., n) rad
    qd: Array  # (..., n) rad/s
    commands: Array  # (..., H, n) N m, newest first
    step: Array  # (...)
    truth: Truth


class Oracle(CertaintyEquivalence):
    """Certainty-equivalent control by one who is certain for good reason."""

    name = "oracle"
    title = "Oracle (told the plant)"
    family = "oracle"
    information = "the true plant and its delay, measured joint state, reference window"

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.log_slow = gain(0.02, (arm.n,))

    def init_carry(self, batch: tuple[int, ...] = ()) -> Knowledge:
        """Told nothing yet, it takes the arm for the nominal one."""
        n = self.arm.n
        zero: Any = jnp.zeros((*batch, n))
        one: Any = jnp.ones((*batch, n))
        none = jnp.zeros(batch)
        plant = Plant(jnp.zeros((*batch, 10)), one, jnp.zeros((*batch, 3)), zero, zero, one, jnp.zeros((*batch, n, 0)))
        truth = Truth(
            plant, plant.load, none + jnp.inf, DryFrictionParams(zero, zero, one), RippleParams(zero, zero, zero), none
        )
        return Knowledge(zero, zero, jnp.zeros((*batch, self.LONGEST + 1, n)), none, truth)

    def told(self, carry: Knowledge, plants: PlantParams) -> Knowledge:
        """The memory with the truth of plants (...)."""
        known = carry.truth
        links = jnp.asarray(plants.mass, known.exchange.dtype) / self.arm.mass
        links = jnp.where(jnp.arange(self.arm.n) == self.arm.n - 1, 1.0, links)
        last = plants.mass[..., -1], plants.first_moment[..., -1, :], plants.inertia[..., -1, :, :]
        own = self.arm.mass[-1], self.arm.first_moment[-1], self.arm.inertia[-1]
        load = self._load(*(there - x for there, x in zip(last, own, strict=True)))
        effects: dict[str, Any] = plants.effects
        strength, viscous = 1 + effects.get("actuator_strength", 0.0), effects.get("viscous", 0.0)
        rubbing = effects.get("dry_friction", known.rubbing)
        plant = Plant(
            load, links, plants.gravity - jnp.asarray(GRAVITY), viscous, rubbing.moving, strength, known.plant.learned
        )
        change, exchange = jnp.zeros(()), known.exchange
        if "payload_switch" in effects:
            switch = effects["payload_switch"]
            change, exchange = self._load(*switch.change), jnp.where(switch.time > 0, switch.time, jnp.inf)
        delay = effects["latency"].least if "latency" in effects else known.delay
        ripple = effects.get("ripple", known.ripple)
        truth = Truth(plant, load + change, exchange, rubbing, ripple, delay)
        return carry._replace(truth=_filled(truth, known))

    def _load(self, mass: Array, first: Array, inertia: Array) -> Array:
        """A load about the tip (..., 10) from its moments about the last link's origin."""
        p = jnp.asarray(self.arm.p_last_tip, jnp.float32)
        mass, eye = jnp.asarray(mass)[..., None, None], jnp.eye(3)
        both = first[..., :, None] * p + p[:, None] * first[..., None, :]
        about = inertia - 2 * jnp.sum(first * p, axis=-1)[..., None, None] * eye + both
        about = about + mass * (jnp.sum(p * p) * eye - p[:, None] * p)
        rows = [about[..., i, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))]
        return jnp.concatenate([mass[..., 0], first - mass[..., 0] * p, jnp.stack(rows, axis=-1)], axis=-1)

    def __call__(self, carry: Knowledge, m: Measurement, w: Window) -> tuple[Knowledge, Array]:
        """Act upon the truth."""
        truth, last, first = carry.truth, Measurement(carry.q, carry.qd), carry.step == 0
        beyond = jnp.maximum(truth.delay - self.LONGEST, 0)
        seen = self.see(last, carry.commands, m, w, first, truth.plant.tilt, beyond)
        q, qd = self.middles(seen)
        rubbing = DryFrictionParams(*(x[..., None, :] for x in truth.rubbing))
        ripple = RippleParams(*(x[..., None, :] for x in truth.ripple))
        dry = DryFriction.dry_friction(rubbing, qd) * jnp.tanh(qd / jnp.exp(self.log_slow[...]))
        wave, _ = Ripple.torque(ripple, None, jnp.zeros_like(q), q, qd, carry.step, 0.0)
        later = (carry.step * self.control_dt >= truth.exchange)[..., None]
        plant = truth.plant._replace(load=jnp.where(later, truth.next_load, truth.plant.load))
        joint = plant.viscous[..., None, :] * qd + dry - wave
        late = jnp.minimum(truth.delay, self.LONGEST)[..., None]
        delays = jnp.maximum(0.0, 1 - jnp.abs(jnp.arange(self.LONGEST + 1) - late))
        one = jnp.ones_like(carry.step)
        command = self.torque(seen, plant, joint, delays, one, (beyond > 0).astype(one.dtype))
        commands = jnp.concatenate([command[..., None, :], seen.commands[..., :-1, :]], axis=-2)
        return Knowledge(m.q, m.qd, commands, carry.step + 1, truth), command


def _filled(new: Truth, old: Truth) -> Truth:
    """The new leaves, broadcast and of the type of the old ones."""
    return jax.tree.map(lambda x, like: jnp.broadcast_to(jnp.asarray(x, like.dtype), like.shape), new, old)
