"""What an effect is, and which are known.

An effect is a frozen dataclass of plain numbers. `prepare` makes arrays of them, once; the other functions say how it
acts and see these arrays only, p. They run on NumPy arrays of one arm in PyBullet's plant and on JAX arrays in the
twin, where p and the state may have leading batch axes and gradients pass through: write them with operators and with
`x.__array_namespace__()`, free of branches on values. Plants are batched by laying zeros in place of an effect that
one of them lacks, so that arrays full of zeros must mean: nothing happens.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.plant.observe import Measurement
from armctl.typing import Array

PerJoint = float | tuple[float, ...]
"""One number for all joints, or one for each."""

_known: dict[str, type["Effect"]] = {}


@dataclass(frozen=True)
class Effect:
    """Base of all effects: `class Spring(Effect, name="spring")`, a frozen dataclass, is known as it is defined.

    Override `prepare` and those of the functions below that it needs. Times are seconds since the reset; a physics step
    begins at `time` and lasts `dt`.
    """

    name: ClassVar[str] = ""
    effect: str = field(default="", init=False, repr=False)
    """The name among the fields, so that an effect that was written to JSON can be found again."""

    def __init_subclass__(cls, *, name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not name:
            raise UsageError(
                f"The effect {cls.__qualname__} has no name; write class {cls.__qualname__}(Effect, name=...)."
            )
        other = _known.get(name)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UsageError(f"There is an effect {name!r} already, {other.__module__}.{other.__qualname__}; rename.")
        cls.name, _known[name] = name, cls
        cls.__annotations__ = {**inspect.get_annotations(cls), "effect": str}
        cls.effect = field(default=name, init=False, repr=False)

    def prepare(self, chain: Chain) -> Any:
        """The numbers as NumPy arrays for an arm: an array, a NamedTuple of them, or another pytree."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its numbers are: define prepare(chain).")

    @staticmethod
    def start(p: Any, hold: Array) -> Any:
        """Memory at the reset, a pytree of arrays. hold: (..., n) N m that holds the nominal arm still."""
        return None

    @staticmethod
    def torque(p: Any, memory: Any, tau: Array, q: Array, qd: Array, time: Array, dt: float) -> tuple[Array, Any]:
        """What becomes of the motors' torque in a physics step.

        memory: of this effect; tau, q, qd: (..., n) N m, rad, rad/s; time: (...) s -> tau (..., n), new memory.
        """
        return tau, memory

    @staticmethod
    def damping(p: Any) -> Array:
        """Viscous friction (..., n) N m s/rad, which acts implicitly and is stable whatever its value."""
        raise NotImplementedError

    @staticmethod
    def dry_friction(p: Any, qd: Array) -> Array:
        """Most that dry friction can hold in a physics step begun at qd (..., n) rad/s, (..., n) N m."""
        raise NotImplementedError

    @staticmethod
    def wrench(p: Any, time: Array, dt: float) -> Array:
        """Force and moment on the tip in a physics step, (..., 6) N and N m, world frame."""
        raise NotImplementedError

    @staticmethod
    def measured(p: Any, m: Measurement, seed: Array, step: Array) -> Measurement:
        """What the sensors make of a joint state. seed, step: (...) uint32, for draws that plant and twin share."""
        return m


def known() -> tuple[str, ...]:
    """Names of all effects defined so far."""
    return tuple(_known)


def find(name: str) -> type[Effect]:
    """An effect's class. Raises UsageError for a name that is not known."""
    if name not in _known:
        raise UsageError(
            f"Unknown effect {name!r}; known: {', '.join(_known)}. One of your own is known once the module that "
            "defines it has been imported."
        )
    return _known[name]


def make(fields: Mapping[str, Any]) -> Effect:
    """An effect from its fields and its name, "effect", as it was written to JSON.

    Raises UsageError for a name that is not known, and for fields that the effect does not take.
    """
    numbers = {key: tuple(x) if isinstance(x, list) else x for key, x in fields.items() if key != "effect"}
    cls = find(fields.get("effect", ""))
    try:
        return cls(**numbers)
    except TypeError as error:
        raise UsageError(f"The effect {cls.name!r} cannot be made of {numbers}: {error}.") from None


def acts(cls: type[Effect], function: str) -> bool:
    """Whether an effect overrides a function."""
    return getattr(cls, function) is not getattr(Effect, function)


def per_joint(value: ArrayLike, chain: Chain, name: str) -> np.ndarray:
    """A number for all joints or one for each, as (n,). Raises UsageError, naming it, for another count."""
    value = np.asarray(value, dtype=float)
    if value.shape not in ((), (chain.n,)):
        raise UsageError(
            f"{name} has shape {value.shape}; {chain.name} has {chain.n} joints, so give a number or a tuple of "
            f"{chain.n}."
        )
    return np.broadcast_to(value, (chain.n,)).copy()


def without_gradient(x: Array) -> Array:
    """x, a constant to JAX's derivatives."""
    if isinstance(x, np.ndarray | np.generic | float):
        return x
    import jax

    return jax.lax.stop_gradient(x)
