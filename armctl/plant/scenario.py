"""Scenario: everything in which the true plant differs from the nominal arm, honoured identically by plant and twin.

What a field does stands in the file of its effect (armctl/plant/effects).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from armctl import rigid
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.plant.effects.acting import BUILT_IN
from armctl.plant.effects.dry_friction import DryFriction
from armctl.plant.effects.effect import Effect, PerJoint, make, per_joint
from armctl.plant.effects.encoder import Encoder
from armctl.plant.effects.lag import Lag
from armctl.plant.effects.latency import Latency
from armctl.plant.effects.noise import Noise
from armctl.plant.effects.payload import RADIUS, Switch, centre_of
from armctl.plant.effects.push import Push
from armctl.plant.effects.ripple import Ripple
from armctl.plant.effects.strength import Strength
from armctl.plant.effects.viscous import Viscous
from armctl.rigid import about_origin

JOINTS = (
    "viscous", "coulomb", "stiction", "stribeck_velocity", "ripple", "ripple_harmonic", "ripple_phase", "inertia_scale",
    "actuator_strength", "actuator_lag", "encoder_step", "encoder_offset",
)  # fmt: skip
"""Fields of one number for all joints, or one for each."""
SIZES = {"payload_com": 3, "next_payload_com": 3, "wrench": 6}
WHOLE = ("latency", "latency_jitter", "seed")
RANGES: dict[str, tuple[float, float]] = {
    "payload_mass": (0.0, 100.0),
    "payload_com": (-2.0, 2.0),
    "payload_switch": (0.0, 1e6),
    "next_payload_mass": (0.0, 100.0),
    "next_payload_com": (-2.0, 2.0),
    "viscous": (0.0, 1e4),
    "coulomb": (0.0, 1e4),
    "stiction": (1.0, 100.0),
    "stribeck_velocity": (1e-4, 100.0),
    "ripple": (0.0, 1e4),
    "ripple_harmonic": (0.0, 1e3),
    "ripple_phase": (-1e3, 1e3),
    "inertia_scale": (0.01, 100.0),
    "actuator_strength": (0.01, 100.0),
    "actuator_lag": (0.0, 10.0),
    "latency": (0, 100),
    "latency_jitter": (0, 100),
    "position_noise": (0.0, 10.0),
    "velocity_noise": (0.0, 100.0),
    "encoder_step": (0.0, 1.0),
    "encoder_offset": (-10.0, 10.0),
    "gravity_tilt": (-10.0, 10.0),
    "wrench": (-1e4, 1e4),
    "wrench_start": (0.0, 1e6),
    "wrench_duration": (0.0, 1e6),
    "seed": (0, 2**32 - 1),
}
"""Least and largest value of every field: between these, plant and twin stay bounded and agree (see experiments)."""


def _checked(name: str, given: Any, low: float, high: float) -> Any:
    """A field's value, arrays and lists as tuples, so that scenarios can be compared; UsageError where it is bad."""
    try:
        value = np.asarray(given)
    except ValueError:  # lists of unequal length
        value = np.array(np.nan)
    value = value.astype(float) if value.dtype.kind in "biuf" else np.array(np.nan)
    shape: tuple[int, ...] = (SIZES[name],) if name in SIZES else ()
    if not np.isfinite(value).all() or (name not in JOINTS and value.shape != shape):
        wanted = f"{SIZES[name]} finite numbers" if name in SIZES else "a finite number"
        wanted += " or a tuple of them" if name in JOINTS else ""
        raise UsageError(f"Scenario.{name} is {given}; give {wanted}.")
    if name in WHOLE and value != np.round(value):
        raise UsageError(f"Scenario.{name} is {given}; give a whole number.")
    if (value < low).any():
        raise UsageError(f"Scenario.{name} is {given}; it must be at least {low:g}.")
    if (value > high).any():
        raise UsageError(f"Scenario.{name} is {given}; the largest that can be simulated is {high:g}.")
    if name in WHOLE:
        return int(value)
    if value.ndim:
        return tuple(value.tolist())
    return given if isinstance(given, int | float) else float(value)  # a NumPy number would not survive JSON


def _from_outside(given: Any) -> tuple[Effect, ...]:
    """The user's effects, from instances or dictionaries."""
    found: list[Effect] = []
    for item in given:
        if isinstance(item, Mapping):
            item = make(item)
        if not isinstance(item, Effect):
            raise UsageError(f"Scenario.effects holds {item!r}; give instances of subclasses of armctl.Effect.")
        if type(item) in BUILT_IN:
            raise UsageError(f"The effect {item.name!r} is one of Scenario's own fields; set these instead of effects.")
        if item.name in [other.name for other in found]:
            raise UsageError(f"Scenario.effects holds {item.name!r} twice; give one of each.")
        found.append(item)
    return tuple(found)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | int) else str(value)


@dataclass(frozen=True)
class Scenario:
    """Deviations of the true plant from the nominal arm. Scalars apply to every joint; (n,) tuples joint by joint."""

    payload_mass: float = 0.0
    """Mass held at the tip, kg; its inertia is that of a solid sphere of 5 cm radius."""
    payload_com: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Centre of the payload in the tip frame, m."""
    payload_switch: float | None = None
    """Time at which the payload is exchanged for the next one (picked up, dropped), s; None: never."""
    next_payload_mass: float = 0.0
    """Mass of the payload from then on, kg; 0: it was dropped."""
    next_payload_com: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Its centre in the tip frame, m."""
    viscous: PerJoint = 0.0
    """Viscous joint friction on top of the arm's own, N m s/rad."""
    coulomb: PerJoint = 0.0
    """Dry joint friction while moving, on top of the arm's own, N m."""
    stiction: PerJoint = 1.0
    """Dry friction at rest over that while moving (Stribeck), at least 1."""
    stribeck_velocity: PerJoint = 0.05
    """Velocity over which the excess at rest falls, as exp(-(qd / v)^2), rad/s."""
    ripple: PerJoint = 0.0
    """Amplitude of the torque ripple A sin(h q + phase), N m."""
    ripple_harmonic: PerJoint = 6.0
    """Its periods per turn, h."""
    ripple_phase: PerJoint = 0.0
    """Its phase, rad."""
    inertia_scale: PerJoint = 1.0
    """Factor on mass and inertia of the links."""
    actuator_strength: PerJoint = 1.0
    """True over nominal torque constant: factor between commanded (saturated) and delivered torque."""
    actuator_lag: PerJoint = 0.0
    """Time constant with which the torque follows its command, s."""
    latency: int = 0
    """Delay between a command and its effect, control steps."""
    latency_jitter: int = 0
    """How much longer the delay of a command may be, control steps; drawn uniformly for each."""
    position_noise: float = 0.0
    """Standard deviation of the measured joint positions, rad."""
    velocity_noise: float = 0.0
    """Standard deviation of the measured joint velocities, rad/s."""
    encoder_step: PerJoint = 0.0
    """Step in which joint positions are measured, rad; 0: exactly."""
    encoder_offset: PerJoint = 0.0
    """What every measured joint position is too large by, rad."""
    gravity_tilt: float = 0.0
    """Rotation of gravity about the world x axis (a base that is not level), rad."""
    wrench: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    """External force (N) and moment (N m) on the tip, world frame, while the pulse lasts."""
    wrench_start: float = 0.0
    """Beginning of the pulse, s."""
    wrench_duration: float = 0.0
    """Length of the pulse, s."""
    seed: int = 0
    """Seed of noise and delays."""
    effects: tuple[Effect, ...] = ()
    """Effects of the user's own; dictionaries of their fields and name ("effect") will do."""

    def __post_init__(self) -> None:
        own = {field.name for field in fields(self)} - {field.name for field in fields(Scenario)}
        if own:
            raise UsageError(
                f"Nothing would act on {type(self).__name__}.{min(own)}: plants know the fields of Scenario; write an "
                "Effect and give it as Scenario(effects=(...,))."
            )
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not getattr(Scenario, name):  # the defaults are good, and most fields have them
                object.__setattr__(self, name, _checked(name, value, low, high))
        if any(self.wrench) and not self.wrench_duration:
            raise UsageError(f"Scenario.wrench is {self.wrench}, but wrench_duration is 0; say how long it lasts, s.")
        if self.payload_switch is None and (self.next_payload_mass or any(self.next_payload_com)):
            raise UsageError(
                "Scenario.next_payload_mass and next_payload_com need payload_switch, the time of change, s."
            )
        object.__setattr__(self, "effects", _from_outside(self.effects))

    @staticmethod
    def grid(base: "Scenario | None" = None, /, **values: Sequence[Any]) -> dict[str, "Scenario"]:
        """Every combination of some fields' values: {"payload_mass=1, latency=0": Scenario, ...}.

        base: what all have in common, nominal when None. Raises UsageError for an unknown field or one without values.
        """
        for name, choices in values.items():
            if isinstance(choices, str) or not isinstance(choices, Sequence | np.ndarray) or len(choices) == 0:
                raise UsageError(f"The grid's {name} is {choices!r}; give a list of the values that it shall have.")
        found = {}
        for row in product(*values.values()):
            point = dict(zip(values, row, strict=True))
            label = ", ".join(f"{name}={_short(value)}" for name, value in point.items())
            found[label or "nominal"] = as_scenario(point, base)
        return found


NOMINAL = Scenario()


def as_scenario(given: Mapping[str, Any], base: Scenario | None = None) -> Scenario:
    """A scenario from a dictionary of fields, such as one read from JSON; what it does not name is `base`'s.

    Raises UsageError for a field that Scenario does not have.
    """
    names = [field.name for field in fields(Scenario)]
    for name in given:
        if name not in names:
            raise UsageError(f"Scenario has no field {name!r}; its fields are {', '.join(names)}.")
    return replace(base or NOMINAL, **given)


class PlantParams(NamedTuple):
    """The true plant as arrays, the form that plant and twin consume; batches are leading axes."""

    mass: np.ndarray  # (n,) kg
    first_moment: np.ndarray  # (n, 3) kg m, link frame
    inertia: np.ndarray  # (n, 3, 3) kg m^2 about the link origin
    gravity: np.ndarray  # (3,) m/s^2
    seed: np.ndarray  # () uint32
    effects: dict[str, Any]  # name -> arrays of the effects that are there, see effects/acting.py


def true_chain(chain: Chain, scenario: Scenario) -> Chain:
    """The chain whose links carry the scenario's inertia error and payload (the body PyBullet is given)."""
    scale = per_joint(scenario.inertia_scale, chain, "Scenario.inertia_scale")
    mass, com = chain.mass * scale, chain.com.copy()
    inertia = chain.inertia * scale[:, None, None]
    load = scenario.payload_mass
    if load > 0:
        centre, own = centre_of(chain, scenario.payload_com), 0.4 * load * RADIUS**2 * np.eye(3)
        total = mass[-1] + load
        joint_com = (mass[-1] * com[-1] + load * centre) / total
        inertia[-1] += about_origin(mass[-1], com[-1] - joint_com, own)
        inertia[-1] += about_origin(np.asarray(load), centre - joint_com, np.zeros((3, 3)))
        mass[-1], com[-1] = total, joint_com
    return replace(chain, mass=mass, com=com, inertia=inertia)


def after_switch(scenario: Scenario) -> Scenario:
    """The scenario with the next payload in place of the first."""
    mass, com = scenario.next_payload_mass, scenario.next_payload_com
    return replace(scenario, payload_mass=mass, payload_com=com)


def later(scenario: Scenario, seconds: float) -> Scenario:
    """The scenario with what happens at some time put off, as where a reference starts after a hold."""
    switch = scenario.payload_switch
    start = scenario.wrench_start + seconds if any(scenario.wrench) else scenario.wrench_start
    return replace(scenario, wrench_start=start, payload_switch=None if switch is None else switch + seconds)


def effects_of(scenario: Scenario, chain: Chain) -> tuple[Effect, ...]:
    """The effects that a scenario and the arm's own friction switch on."""
    s, found = scenario, list(scenario.effects)
    if s.latency or s.latency_jitter:
        found.append(Latency(s.latency, s.latency_jitter))
    if np.any(s.actuator_lag):
        found.append(Lag(s.actuator_lag))
    if np.any(np.asarray(s.actuator_strength) != 1):
        found.append(Strength(s.actuator_strength))
    if np.any(s.ripple):
        found.append(Ripple(s.ripple, s.ripple_harmonic, s.ripple_phase))
    if np.any(s.viscous) or chain.damping.any():
        found.append(Viscous(s.viscous))
    if np.any(s.coulomb) or chain.friction.any():
        found.append(DryFriction(s.coulomb, s.stiction, s.stribeck_velocity))
    if any(s.wrench):
        found.append(Push(s.wrench, s.wrench_start, s.wrench_duration))
    if s.payload_switch is not None:
        now, later = (s.payload_mass, s.payload_com), (s.next_payload_mass, s.next_payload_com)
        found.append(Switch(s.payload_switch, now, later))
    if s.position_noise or s.velocity_noise:
        found.append(Noise(s.position_noise, s.velocity_noise))
    if np.any(s.encoder_step) or np.any(s.encoder_offset):
        found.append(Encoder(s.encoder_offset, s.encoder_step))
    return tuple(found)


def plant_params(chain: Chain, scenario: Scenario) -> PlantParams:
    """Arrays of the true plant for one scenario.

    Raises UsageError where a per-joint tuple does not have one entry per joint.
    """
    for name in JOINTS:
        per_joint(getattr(scenario, name), chain, f"Scenario.{name}")
    true = true_chain(chain, scenario)
    tilt = scenario.gravity_tilt
    return PlantParams(
        mass=true.mass,
        first_moment=true.mass[:, None] * true.com,
        inertia=about_origin(true.mass, true.com, true.inertia),
        gravity=-rigid.GRAVITY[2] * np.array([0.0, np.sin(tilt), -np.cos(tilt)]),
        seed=np.asarray(scenario.seed, dtype=np.uint32),
        effects={effect.name: effect.prepare(chain) for effect in effects_of(scenario, chain)},
    )


def stack_params(params: list[PlantParams]) -> PlantParams:
    """Batch plants along a new leading axis; an effect that some of them lack is there for these with zeros."""
    models: dict[str, Any] = {name: p for row in params for name, p in row.effects.items()}
    from jax import tree  # whoever batches plants has JAX; the environments do without

    effects = {}
    for name, model in models.items():
        none = tree.map(np.zeros_like, model)
        rows = [row.effects.get(name, none) for row in params]
        effects[name] = tree.map(lambda *leaves: np.stack(_of_one_length(leaves)), *rows)
    names = [name for name in PlantParams._fields if name != "effects"]
    arms = {name: np.stack([getattr(row, name) for row in params]) for name in names}
    return PlantParams(**arms, effects=effects)


def _of_one_length(leaves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Arrays of one number of axes, padded with zeros to the longest last axis."""
    longest = max((leaf.shape[-1] for leaf in leaves if leaf.ndim), default=0)
    return [np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, longest - x.shape[-1])]) if x.ndim else x for x in leaves]
