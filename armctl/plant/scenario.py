"""Scenario: everything in which the true plant differs from the nominal arm, honoured identically by plant and twin."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from armctl import rigid
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.rigid import about_origin

PAYLOAD_RADIUS = 0.05
SIZES = {"payload_com": 3, "wrench": 6}


@dataclass(frozen=True)
class Scenario:
    """Deviations of the true plant from the nominal arm. Scalars apply to every joint; (n,) tuples joint by joint."""

    payload_mass: float = 0.0
    """Mass held at the tip, kg; its inertia is that of a solid sphere of 5 cm radius."""
    payload_com: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Centre of the payload in the tip frame, m."""
    viscous: float | tuple[float, ...] = 0.0
    """Viscous joint friction on top of the arm's own, N m s/rad."""
    coulomb: float | tuple[float, ...] = 0.0
    """Coulomb joint friction, N m, smoothed as tanh(qd / 0.1 rad/s)."""
    inertia_scale: float | tuple[float, ...] = 1.0
    """Factor on mass and inertia of the links."""
    actuator_strength: float | tuple[float, ...] = 1.0
    """Factor between commanded (saturated) and delivered torque."""
    latency: int = 0
    """Delay between a command and its effect, control steps."""
    position_noise: float = 0.0
    """Standard deviation of the measured joint positions, rad."""
    velocity_noise: float = 0.0
    """Standard deviation of the measured joint velocities, rad/s."""
    gravity_tilt: float = 0.0
    """Rotation of gravity about the world x axis (a base that is not level), rad."""
    wrench: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    """External force (N) and moment (N m) on the tip, world frame, while the pulse lasts."""
    wrench_start: float = 0.0
    """Beginning of the pulse, s."""
    wrench_duration: float = 0.0
    """Length of the pulse, s."""
    seed: int = 0
    """Seed of the observation noise."""

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            try:
                value = np.asarray(getattr(self, name))
            except ValueError:  # lists of unequal length
                value = np.array(np.nan)
            value = value.astype(float) if value.dtype.kind in "biuf" else np.array(np.nan)
            if not np.isfinite(value).all() or (name in SIZES and value.shape != (SIZES[name],)):
                size = f" of {SIZES[name]}" if name in SIZES else ""
                raise UsageError(f"Scenario.{name} is {getattr(self, name)}; give finite numbers{size}.")
            if value.ndim:  # arrays and lists become tuples, so that scenarios can be compared
                object.__setattr__(self, name, tuple(value.tolist()))
        for name in ("latency", "seed"):
            if getattr(self, name) != int(getattr(self, name)):
                raise UsageError(f"Scenario.{name} is {getattr(self, name)}; give a whole number.")
            object.__setattr__(self, name, int(getattr(self, name)))
        for name in ("payload_mass", "position_noise", "velocity_noise", "wrench_duration", "latency", "seed"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"Scenario.{name} is {getattr(self, name)}; it must be at least 0.")
        for name in ("inertia_scale", "actuator_strength"):
            if not np.all(np.asarray(getattr(self, name)) > 0):
                raise UsageError(f"Scenario.{name} is {getattr(self, name)}; it must be above 0.")
        for name in ("viscous", "coulomb"):
            if not np.all(np.asarray(getattr(self, name)) >= 0):
                raise UsageError(f"Scenario.{name} is {getattr(self, name)}; it must be at least 0.")


NOMINAL = Scenario()


class PlantParams(NamedTuple):
    """The true plant as arrays, the form that plant and twin consume; batches are leading axes."""

    mass: np.ndarray  # (n,) kg
    first_moment: np.ndarray  # (n, 3) kg m, link frame
    inertia: np.ndarray  # (n, 3, 3) kg m^2 about the link origin
    viscous: np.ndarray  # (n,) N m s/rad, the arm's own included
    coulomb: np.ndarray  # (n,) N m
    strength: np.ndarray  # (n,)
    gravity: np.ndarray  # (3,) m/s^2
    wrench: np.ndarray  # (6,) N, N m
    pulse: np.ndarray  # (2,) start and end, s
    noise: np.ndarray  # (2,) rad, rad/s
    latency: np.ndarray  # () control steps
    seed: np.ndarray  # () uint32


def true_chain(chain: Chain, scenario: Scenario) -> Chain:
    """The chain whose links carry the scenario's inertia error and payload (the body PyBullet is given)."""
    scale = _per_joint(scenario.inertia_scale, chain, "inertia_scale")
    mass, com = chain.mass * scale, chain.com.copy()
    inertia = chain.inertia * scale[:, None, None]
    load = scenario.payload_mass
    if load > 0:
        centre = chain.T_last_tip[:3, :3] @ np.asarray(scenario.payload_com) + chain.T_last_tip[:3, 3]
        total = mass[-1] + load
        joint_com = (mass[-1] * com[-1] + load * centre) / total
        inertia[-1] += about_origin(mass[-1], com[-1] - joint_com, 0.4 * load * PAYLOAD_RADIUS**2 * np.eye(3))
        inertia[-1] += about_origin(np.asarray(load), centre - joint_com, np.zeros((3, 3)))
        mass[-1], com[-1] = total, joint_com
    return replace(chain, mass=mass, com=com, inertia=inertia)


def plant_params(chain: Chain, scenario: Scenario) -> PlantParams:
    """Arrays of the true plant for one scenario.

    Raises UsageError where a per-joint tuple does not have one entry per joint.
    """
    true = true_chain(chain, scenario)
    tilt = scenario.gravity_tilt
    return PlantParams(
        mass=true.mass,
        first_moment=true.mass[:, None] * true.com,
        inertia=about_origin(true.mass, true.com, true.inertia),
        viscous=chain.damping + _per_joint(scenario.viscous, chain, "viscous"),
        coulomb=chain.friction + _per_joint(scenario.coulomb, chain, "coulomb"),
        strength=_per_joint(scenario.actuator_strength, chain, "actuator_strength"),
        gravity=-rigid.GRAVITY[2] * np.array([0.0, np.sin(tilt), -np.cos(tilt)]),
        wrench=np.asarray(scenario.wrench, dtype=float),
        pulse=np.array([scenario.wrench_start, scenario.wrench_start + scenario.wrench_duration]),
        noise=np.array([scenario.position_noise, scenario.velocity_noise]),
        latency=np.asarray(scenario.latency, dtype=np.int32),
        seed=np.asarray(scenario.seed, dtype=np.uint32),
    )


def stack_params(params: list[PlantParams]) -> PlantParams:
    """Batch plants along a new leading axis."""
    return PlantParams(*(np.stack(leaves) for leaves in zip(*params, strict=True)))


def _per_joint(value: ArrayLike, chain: Chain, name: str) -> np.ndarray:
    value = np.asarray(value, dtype=float)
    if value.shape not in ((), (chain.n,)):
        raise UsageError(
            f"Scenario.{name} has shape {value.shape}; {chain.name} has {chain.n} joints, so give a number or a "
            f"tuple of {chain.n}."
        )
    return np.broadcast_to(value, (chain.n,)).copy()


def _nominal(rng: np.random.Generator, chain: Chain) -> Scenario:
    return NOMINAL


def _payload_ideal(rng: np.random.Generator, chain: Chain) -> Scenario:
    """An unknown mass up to the rated payload, off centre, on an otherwise perfect arm."""
    x, y, z = rng.uniform([-0.05, -0.05, 0.0], [0.05, 0.05, 0.1]).tolist()
    return Scenario(payload_mass=float(rng.uniform(0.0, rated_payload(chain))), payload_com=(x, y, z))


def _payload(rng: np.random.Generator, chain: Chain) -> Scenario:
    """The same behind a real torque interface: one control step of delay and sensor noise."""
    return replace(
        _payload_ideal(rng, chain),
        latency=1,
        position_noise=1e-5,
        velocity_noise=1e-3,
        seed=int(rng.integers(2**31)),
    )


def _payload_friction(rng: np.random.Generator, chain: Chain) -> Scenario:
    """And unknown joint friction, up to 1 % of the effort limit each of viscous (at 1 rad/s) and Coulomb."""
    return replace(
        _payload(rng, chain),
        viscous=tuple((chain.effort * rng.uniform(0.0, 0.01, chain.n)).tolist()),
        coulomb=tuple((chain.effort * rng.uniform(0.0, 0.01, chain.n)).tolist()),
    )


def _stress(rng: np.random.Generator, chain: Chain) -> Scenario:
    """And model errors: inertia, actuator strength, a base that is not level."""
    return replace(
        _payload_friction(rng, chain),
        inertia_scale=tuple(rng.uniform(0.9, 1.1, chain.n).tolist()),
        actuator_strength=tuple(rng.uniform(0.95, 1.0, chain.n).tolist()),
        gravity_tilt=float(rng.uniform(-0.03, 0.03)),
    )


PRESETS: dict[str, Callable[[np.random.Generator, Chain], Scenario]] = {
    "nominal": _nominal,
    "payload_ideal": _payload_ideal,
    "payload": _payload,
    "payload_friction": _payload_friction,
    "stress": _stress,
}


def rated_payload(chain: Chain) -> float:
    """Payload range of the presets, kg: what a third of every joint's effort left over by the arm itself can hold.

    Taken at the home posture with the arm's own reach as the lever, so that it is on the safe side.
    """
    poses = rigid.link_poses(chain, chain.home)
    tip = (poses[-1] @ chain.T_last_tip)[:3, 3]
    spare = chain.effort - np.abs(rigid.gravity(chain, chain.home))
    lever = np.abs(rigid.jacobian(chain, chain.home)[2]) + 0.25 * np.linalg.norm(tip - poses[:, :3, 3], axis=-1)
    return float(0.35 * np.min(spare / (-rigid.GRAVITY[2] * np.maximum(lever, 0.05))))


def sample_scenario(name: str, chain: Chain, rng: np.random.Generator) -> Scenario:
    """Draw a scenario from a named preset.

    Raises UsageError for an unknown name, listing the known ones.
    """
    if name not in PRESETS:
        raise UsageError(f"Unknown scenario {name!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name](rng, chain)
