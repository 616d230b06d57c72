"""The one interface of every controller.

A controller is a Flax module called once per control step on a batch: `carry, command = controller(carry, m, w)`. It
knows the nominal arm, the measured joint state and the reference window, never the scenario. Its parameters, gains
included, are `nnx.Param`, so that one routine tunes them all by the gradient through the twin.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.arm import Arm
from armctl.errors import UsageError
from armctl.plant.observe import Measurement, Window
from armctl.plant.scenario import PlantParams
from armctl.typing import Array

FAMILIES = ("classical", "learned", "oracle", "yours")
"""Classical control, trained networks, those told what the others must find out, and all that are not shipped."""
KNOWN: dict[str, type["Controller"]] = {}
"""Controllers by name; a class that has a name joins as it is defined."""
OUT_OF_DEPTH = 0.5
"""Caution beyond which a controller that knows its own counts as out of its depth."""


class Controller(nnx.Module):
    """Base of all controllers. A subclass with a `name` of its own can be made by it, tuned and benched."""

    name = ""
    """By which it is asked for, such as "diff_ik"; empty where it cannot be."""
    title = ""
    """How reports call it, such as "Differential IK"; the class's name where it does not say."""
    family = "yours"
    """One of FAMILIES: how reports compare it."""
    control = "torque"
    """Control mode of the plant that the command is for."""
    information = "nominal model, measured joint state, reference window"
    """What the controller is given; stands in every record of the bench."""
    policy = ""
    """Name of the controller whose tuned parameters serve this one as well; empty where it has its own."""
    compile_seconds = 15
    """About how long two cores compile its training the first time, s; announced, so that waiting is not worrying."""
    least_preview = 1
    """Control steps of look-ahead without which it would read past the end of its window."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # what a class does not say of itself is not true of it because it builds on another
        for attribute, default in (("name", ""), ("title", cls.__name__), ("family", "yours")):
            if attribute not in vars(cls):
                setattr(cls, attribute, default)
        if cls.family not in FAMILIES:
            raise UsageError(f"{cls.__name__}.family is {cls.family!r}; choose one of {', '.join(FAMILIES)}.")
        if cls.name:
            other = KNOWN.setdefault(cls.name, cls)
            if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise UsageError(f"{cls.__name__} and {other.__name__} are both called {cls.name!r}; rename one.")
            KNOWN[cls.name] = cls  # the same class, imported anew

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        """arm: nominal; control_dt: s a command is held; preview: control steps of look-ahead; seed: of the weights."""
        if preview < self.least_preview:
            raise UsageError(f"preview is {preview}; {type(self).__name__} needs at least {self.least_preview}.")
        self.arm = nnx.data(arm)
        self.control_dt = control_dt
        self.preview = preview

    def init_carry(self, batch: tuple[int, ...] = ()) -> Any:
        """Memory at the start of an episode for a batch of the given shape."""
        return ()

    def told(self, carry: Any, plants: PlantParams) -> Any:
        """The memory after the true plants (...) were told; only an oracle listens."""
        return carry

    def __call__(self, carry: Any, m: Measurement, w: Window) -> tuple[Any, Array]:
        """carry, m (..., n), w (..., P+1, ...) -> next carry, command (..., n) in the units of `control`."""
        raise TypeError(f"{type(self).__name__} does not say how to control.")

    def model_loss(self, carry: Any) -> Array | float:
        """How badly what it believes of the plant explains the newest measurement, (...) nats; 0 without a belief."""
        return 0.0


class Gain(nnx.Param[Any]):
    """A parameter with a meaning of its own (a gain), which training moves faster than the weights of a network."""


def gain(value: float, shape: tuple[int, ...] = ()) -> Gain:
    """A positive gain, kept as its logarithm."""
    return Gain(jnp.full(shape, np.log(value), jnp.float32))
