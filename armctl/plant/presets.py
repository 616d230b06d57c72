"""Named distributions of scenarios, as data, so that what `armctl doctor --scenarios` prints is what is drawn."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from armctl import rigid
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.plant.scenario import Scenario, as_scenario

SCALES: dict[str, Callable[[Chain], Any]] = {
    "": lambda chain: 1.0,
    "payload range": lambda chain: rated_payload(chain),
    "effort limit": lambda chain: chain.effort,
    "payload weight": lambda chain: -rigid.GRAVITY[2] * rated_payload(chain),
}
"""What a distribution may be given in: the arm's own size of it."""


@dataclass(frozen=True)
class Fixed:
    """Always this value."""

    value: float

    def __call__(self, rng: np.random.Generator, chain: Chain) -> Any:
        """The value."""
        return self.value

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True)
class Uniform:
    """Evenly between two values, or two vectors of them, times the arm's own `scale`; joints: each on its own."""

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    scale: str = ""
    joints: bool = False

    def __call__(self, rng: np.random.Generator, chain: Chain) -> Any:
        """A number, or a tuple of them."""
        if self.joints:
            return tuple((SCALES[self.scale](chain) * rng.uniform(self.low, self.high, chain.n)).tolist())
        drawn = rng.uniform(self.low, self.high) * SCALES[self.scale](chain)
        return tuple(drawn.tolist()) if np.ndim(drawn) else float(drawn)

    def __str__(self) -> str:
        pairs = zip(np.atleast_1d(self.low), np.atleast_1d(self.high), strict=True)
        each = [f"U({low:g}, {high:g})" for low, high in pairs]
        text = each[0] if len(set(each)) == 1 else f"({', '.join(each)})"
        return f"{text}{f' × {self.scale}' if self.scale else ''}{', each joint' if self.joints else ''}"


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, both included, each equally likely."""

    low: int
    high: int

    def __call__(self, rng: np.random.Generator, chain: Chain) -> int:
        """The number."""
        return int(rng.integers(self.low, self.high + 1))

    def __str__(self) -> str:
        return f"{{{', '.join(map(str, range(self.low, self.high + 1)))}}}" if self.high - self.low < 9 else "any"


@dataclass(frozen=True)
class Individual:
    """Drawn once for the individual arm, whoever asks, and so the same in every episode; each joint on its own."""

    draw: Uniform | Whole
    field: str

    def __call__(self, rng: np.random.Generator, chain: Chain) -> tuple[float, ...]:
        """One number per joint, which does not depend on rng."""
        own = np.random.default_rng(zlib.crc32(f"{chain.name} {self.field}".encode()))
        return tuple(float(self.draw(own, chain)) for _ in range(chain.n))

    def __str__(self) -> str:
        return f"{self.draw}, each joint, once per arm"


Draw = Fixed | Uniform | Whole | Individual
Draws = dict[str, Draw]
"""Field of Scenario -> its distribution, drawn in this order; what is not there is nominal."""

_PAYLOAD_IDEAL: Draws = {
    "payload_com": Uniform((-0.05, -0.05, 0.0), (0.05, 0.05, 0.1)),
    "payload_mass": Uniform(0.0, 1.0, "payload range"),
}
_PAYLOAD: Draws = {
    **_PAYLOAD_IDEAL,
    "latency": Fixed(1),
    "position_noise": Fixed(1e-5),
    "velocity_noise": Fixed(1e-3),
    "seed": Whole(0, 2**31 - 1),
}
_PAYLOAD_FRICTION: Draws = {
    **_PAYLOAD,
    "viscous": Uniform(0.0, 0.01, "effort limit", joints=True),
    "coulomb": Uniform(0.0, 0.01, "effort limit", joints=True),
}
_STRESS: Draws = {
    **_PAYLOAD_FRICTION,
    "inertia_scale": Uniform(0.9, 1.1, joints=True),
    "actuator_strength": Uniform(0.95, 1.0, joints=True),
    "gravity_tilt": Uniform(-0.03, 0.03),
}
_STRIBECK: Draws = {
    "stiction": Uniform(1.0, 2.0, joints=True),
    "stribeck_velocity": Uniform(0.02, 0.1, joints=True),
}
_RIPPLE: Draws = {
    "ripple": Uniform(0.0, 0.01, "effort limit", joints=True),
    "ripple_harmonic": Individual(Whole(6, 12), "harmonic"),
    "ripple_phase": Individual(Uniform(0.0, 6.28), "phase"),
}
_SWITCH: Draws = {
    "payload_switch": Uniform(0.5, 2.0),
    "next_payload_com": Uniform((-0.05, -0.05, 0.0), (0.05, 0.05, 0.1)),
    "next_payload_mass": Uniform(0.0, 1.0, "payload range"),
}
_PUSH: Draws = {
    "wrench": Uniform((-0.3,) * 3 + (-0.03,) * 3, (0.3,) * 3 + (0.03,) * 3, "payload weight"),
    "wrench_start": Uniform(0.5, 2.0),
    "wrench_duration": Uniform(0.05, 0.3),
}
_COMBINED: Draws = {**_STRESS, **_STRIBECK, **_RIPPLE, "latency": Whole(0, 3)}
_OVERLOAD: Draws = {"payload_mass": Uniform(1.0, 1.5, "payload range")}


@dataclass(frozen=True)
class Preset:
    """A distribution of scenarios: what it is about, and how its fields are drawn."""

    about: str
    draws: Draws


def _delayed(draws: Draws, delay: int) -> Draws:
    return {**draws, "latency": Fixed(delay)}


PRESETS: dict[str, Preset] = {
    "nominal": Preset("the nominal arm", {}),
    "payload_ideal": Preset("an unknown load, off centre, on an otherwise perfect arm", _PAYLOAD_IDEAL),
    "payload": Preset("the same behind a torque interface: one control step of delay, sensor noise", _PAYLOAD),
    "payload_friction": Preset("payload, and unknown joint friction", _PAYLOAD_FRICTION),
    "stress": Preset("payload_friction, and inertia, torque constants and a base that are not as modelled", _STRESS),
    "latency": Preset("payload, with a delay that is not known", {**_PAYLOAD, "latency": Whole(0, 3)}),
    "friction": Preset(
        "payload, with much dry friction, and more of it at rest",
        {**_PAYLOAD_FRICTION, "coulomb": Uniform(0.0, 0.03, "effort limit", joints=True), **_STRIBECK},
    ),
    "ripple": Preset("payload, and torque ripple that belongs to the individual arm", {**_PAYLOAD, **_RIPPLE}),
    "switch": Preset("payload, exchanged for another in mid-motion", {**_PAYLOAD, **_SWITCH}),
    "combined": Preset("stress, more friction at rest, ripple, and a delay that is not known", _COMBINED),
    "everything": Preset(
        "combined, and lag, jitter, encoders, an exchange of the load, a push",
        {
            **_COMBINED,
            **_SWITCH,
            "actuator_lag": Uniform(0.0, 0.005, joints=True),
            "latency_jitter": Whole(0, 1),
            "encoder_step": Fixed(4e-5),
            "encoder_offset": Uniform(-2e-4, 2e-4, joints=True),
            **_PUSH,
        },
    ),
    "noise": Preset(
        "payload, with ten times the sensor noise",
        {**_PAYLOAD, "position_noise": Fixed(1e-4), "velocity_noise": Fixed(1e-2)},
    ),
    "strength": Preset(
        "payload, and torque constants that are up to 15 % smaller than modelled",
        {**_PAYLOAD, "actuator_strength": Uniform(0.85, 1.0, joints=True)},
    ),
    "tilt": Preset("payload, on a base that is not level", {**_PAYLOAD, "gravity_tilt": Uniform(-0.1, 0.1)}),
    "pushes": Preset("payload, and a push on the tip in mid-motion", {**_PAYLOAD, **_PUSH}),
    "overload": Preset("a load beyond the payload range", {**_PAYLOAD, **_OVERLOAD}),
    **{
        f"latency_{delay}": Preset(f"payload, with a delay of {delay} control steps", _delayed(_PAYLOAD, delay))
        for delay in range(6)
    },
    **{
        f"combined_{delay}": Preset(f"combined, with a delay of {delay} control steps", _delayed(_COMBINED, delay))
        for delay in range(4)
    },
    "extreme": Preset(
        "combined, with an overload, twice the friction and longer delays",
        {
            **_COMBINED,
            **_OVERLOAD,
            "viscous": Uniform(0.0, 0.02, "effort limit", joints=True),
            "coulomb": Uniform(0.0, 0.02, "effort limit", joints=True),
            "latency": Whole(4, 6),
        },
    ),
}


def check_preset(name: str) -> str:
    """The name of a preset. Raises UsageError for another, listing the known ones."""
    if name not in PRESETS:
        raise UsageError(f"Unknown scenario {name!r}; choose one of {', '.join(PRESETS)}.")
    return name


def sample_scenario(name: str, chain: Chain, rng: np.random.Generator) -> Scenario:
    """Draw a scenario from a named preset.

    Raises UsageError for an unknown name, listing the known ones.
    """
    return as_scenario({field: draw(rng, chain) for field, draw in PRESETS[check_preset(name)].draws.items()})


def rated_payload(chain: Chain) -> float:
    """Payload range of the presets, kg: what a third of every joint's effort left over by the arm itself can hold.

    Taken at the home posture with the arm's own reach as the lever, so that it is on the safe side.
    """
    poses = rigid.link_poses(chain, chain.home)
    tip = (poses[-1] @ chain.T_last_tip)[:3, 3]
    spare = chain.effort - np.abs(rigid.gravity(chain, chain.home))
    lever = np.abs(rigid.jacobian(chain, chain.home)[2]) + 0.25 * np.linalg.norm(tip - poses[:, :3, 3], axis=-1)
    return float(0.35 * np.min(spare / (-rigid.GRAVITY[2] * np.maximum(lever, 0.05))))
