"""Parameters of a controller as flat arrays, and the run folders that they are saved in."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl import store
from armctl.arm import Arm
from armctl.controllers.base import Controller
from armctl.controllers.registry import make
from armctl.errors import UsageError


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
        (path, value.replace(jnp.asarray(arrays["/".join(map(str, path))]))) for path, value in nnx.to_flat_state(state)
    ]
    nnx.update(controller, nnx.from_flat_state(flat))
    return controller


def save(folder: str | Path, controller: Controller) -> None:
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
    if not (folder / "params.npz").exists() and (folder / "learner.npz").exists():
        raise UsageError(
            f"The training in '{folder}' was killed before it wrote its parameters (params.npz); the command that "
            "started it, with --resume, finishes it."
        )
    return with_parameters(controller, store.load_arrays(folder / "params.npz"))
