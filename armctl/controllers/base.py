"""The one interface of every controller, and where controllers are made by name, saved and loaded.

A controller is a Flax module called once per control step on a batch: `carry, command = controller(carry, m, w)`. It
knows the nominal arm, the measured joint state and the reference window, never the scenario. Its parameters, gains
included, are `nnx.Param`, so that one routine tunes them all by the gradient through the twin.
"""

from importlib import import_module
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from armctl import store
from armctl.arm import Arm
from armctl.errors import UsageError
from armctl.plant.observe import Measurement, Window

CONTROLLERS = {
    "diff_ik": "armctl.controllers.diff_ik:DiffIK",
    "computed_torque": "armctl.controllers.computed_torque:ComputedTorque",
    "operational_space": "armctl.controllers.operational_space:OperationalSpace",
    "operational_space_integral": "armctl.controllers.operational_space:OperationalSpaceIntegral",
    "disturbance_observer": "armctl.controllers.disturbance_observer:DisturbanceObserver",
    "tracker": "armctl.controllers.tracker:StructuredTracker",
    "tracker_mlp": "armctl.controllers.tracker_mlp:MLPTracker",
}


class Controller(nnx.Module):
    """Base of all controllers."""

    control = "torque"
    """Control mode of the plant that the command is for."""
    information = "nominal model, measured joint state, reference window"
    """What the controller is given; stands in every record of the bench."""
    least_preview = 1
    """Control steps of look-ahead without which it would read past the end of its window."""

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 4, seed: int = 0):
        """arm: nominal; control_dt: s a command is held; preview: control steps of look-ahead; seed: of the weights."""
        if preview < self.least_preview:
            raise UsageError(f"preview is {preview}; {type(self).__name__} needs at least {self.least_preview}.")
        self.arm = nnx.data(arm)
        self.control_dt = control_dt
        self.preview = preview

    def init_carry(self, batch: tuple[int, ...] = ()):
        """Memory at the start of an episode for a batch of the given shape."""
        return ()

    def __call__(self, carry, m: Measurement, w: Window):
        """carry, m (..., n), w (..., P+1, ...) -> next carry, command (..., n) in the units of `control`."""
        raise TypeError(f"{type(self).__name__} does not say how to control.")


class Gain(nnx.Param):
    """A parameter with a meaning of its own (a gain), which training moves faster than the weights of a network."""


def gain(value, shape=()) -> Gain:
    """A positive gain, kept as its logarithm."""
    return Gain(jax.numpy.full(shape, np.log(value), jax.numpy.float32))


def make(name: str, arm: Arm, control_dt: float = 0.01, preview: int = 4, seed: int = 0) -> Controller:
    """Make a controller by name, with its default gains or freshly initialised weights.

    Raises UsageError for an unknown name, listing the known ones.
    """
    if name not in CONTROLLERS:
        raise UsageError(
            f"Unknown controller {name!r}; choose one of {', '.join(CONTROLLERS)}, or a trained run folder."
        )
    module, cls = CONTROLLERS[name].split(":")
    return getattr(import_module(module), cls)(arm, control_dt=control_dt, preview=preview, seed=seed)


def parameters(controller: Controller) -> dict[str, np.ndarray]:
    """Flat dictionary of all parameters, for saving."""
    flat = nnx.to_flat_state(nnx.state(controller, nnx.Param))
    return {"/".join(map(str, path)): np.asarray(value[...]) for path, value in flat}


def with_parameters(controller: Controller, arrays: dict[str, np.ndarray]) -> Controller:
    """Put saved parameters into a controller of the same kind, in place, and return it.

    Raises UsageError where names or shapes do not fit.
    """
    expected = parameters(controller)
    wrong = {k for k in expected if k not in arrays or arrays[k].shape != expected[k].shape} | (
        set(arrays) - set(expected)
    )
    if wrong:
        raise UsageError(
            f"The saved parameters do not fit {type(controller).__name__} for {controller.arm.name} "
            f"(differing: {', '.join(sorted(wrong)[:3])}); train it again for this arm and preview."
        )
    state = nnx.state(controller, nnx.Param)
    flat = [
        (path, value.replace(jax.numpy.asarray(arrays["/".join(map(str, path))])))
        for path, value in nnx.to_flat_state(state)
    ]
    nnx.update(controller, nnx.from_flat_state(flat))
    return controller


def save(folder: Path, controller: Controller) -> None:
    """Write params.npz of a run folder (atomically)."""
    store.save_arrays(Path(folder) / "params.npz", parameters(controller))


def load(folder: str | Path, arm: Arm) -> Controller:
    """Controller of a tuned or trained run folder (config.json, params.npz).

    Raises UsageError where the folder is not such a run, is corrupt, or was made for another arm.
    """
    folder = Path(folder)
    config = store.read_json(folder / "config.json")["config"]
    if config.get("robot_name", arm.name) != arm.name:
        raise UsageError(f"{folder} was trained for {config['robot_name']}, not {arm.name}; choose the same robot.")
    try:
        controller = make(config["controller"], arm, config["control_dt"], config["preview"])
    except (KeyError, TypeError) as error:
        raise UsageError(f"{folder / 'config.json'} is damaged ({error}); train again.") from None
    return with_parameters(controller, store.load_arrays(folder / "params.npz"))
