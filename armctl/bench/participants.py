"""Who takes part in a bench, Flax controllers and those from outside: what they must have, what is recorded of them."""

import copy
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from armctl.bench.identity import identity
from armctl.bench.outside import check_held, check_outside, environment, information, is_outside, make_env, task_of
from armctl.bench.plan import BenchConfig, Task
from armctl.bench.stable_baselines_policy import StableBaselinesPolicy
from armctl.errors import UsageError

GIVEN = ("tuning_budget", "objective", "information", "trained_on")  # beyond what the controller itself says


def adapted(controller: Any, n: int) -> Any:
    """A controller for one bench, of an arm of n joints: of one from outside a copy, of a bare model what asks it."""
    plain = is_outside(controller) and not hasattr(controller, "act") and hasattr(controller, "predict")
    if plain:
        return StableBaselinesPolicy(controller, n)
    try:  # so that what is left in it after this bench is no part of the next, nor of one that is resumed
        return copy.deepcopy(controller) if is_outside(controller) else controller
    except Exception:
        return controller


def check_controllers(config: BenchConfig, controllers: Mapping[str, Any]) -> None:
    """Raises UsageError for none at all, names that cannot be, and controllers that have not what they need."""
    if not controllers:
        raise UsageError("A bench needs at least one controller; name one with --controllers.")
    for name in controllers:
        if not re.fullmatch(r"[\w.+-]+", name):
            raise UsageError(f"'{name}' cannot name a controller in a bench; use letters, digits and _ . + - only.")
    for name, controller in controllers.items():
        lacking = [key for key in ("control", "preview", "init_carry") if not hasattr(controller, key)]
        if not is_outside(controller) and lacking:
            raise UsageError(
                f"'{name}' ({type(controller).__name__}) has no {lacking[0]}; make it a subclass of armctl.Controller."
            )
        if is_outside(controller):
            if config.backend == "twin":
                raise UsageError(
                    f"'{name}' is no controller in JAX, and the twin steps others in no batch; leave out backend twin."
                )
            check_outside(name, controller)
            check_held(config, name, controller)
            make_env(config, controller).close()  # what is wrong with its wishes is said before work starts


def check_goals(tasks: list[Task], controllers: Mapping[str, Any], home: np.ndarray) -> None:
    """Raises UsageError where a controller that reaches from home to goals meets something else."""
    reaching = [name for name, one in controllers.items() if is_outside(one) and task_of(one) == "reach"]
    without = next((task for task in tasks if task.goal is None), None)
    if reaching and without is not None:
        raise UsageError(
            f"'{reaching[0]}' reaches for goals, and '{without.label}' of suite '{without.suite}' has none; bench it "
            "on the suites reach and goal."
        )
    elsewhere = next((task for task in tasks if np.abs(task.reference.start[0] - home).max() > 1e-9), None)
    if reaching and elsewhere is not None:
        raise UsageError(
            f"'{reaching[0]}' reaches for goals from the arm's home, and '{elsewhere.label}' of suite "
            f"'{elsewhere.suite}' starts elsewhere; bench it on the suites reach and goal."
        )


def checksum(controller: Any) -> int:
    """Of all that a controller is or, of a Flax module, of its parameters."""
    if is_outside(controller):
        return identity(controller)
    import jax
    from flax import nnx

    leaves = jax.tree.leaves(nnx.state(controller))
    kept = (leaf for leaf in leaves if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key))
    return zlib.crc32(b"".join(np.asarray(leaf).tobytes() for leaf in kept))


def described(controller: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    """What a controller says of itself and, by the record, was given."""
    outside = is_outside(controller)
    told, budget = (information(controller), "not said") if outside else ("", "none (default gains)")
    known = {"information": getattr(controller, "information", told), "tuning_budget": budget, **record}
    return {
        "controller": getattr(controller, "name", ""),
        "title": getattr(controller, "title", ""),
        "family": getattr(controller, "family", "yours"),
        "control": environment(controller)["control"] if outside else controller.control,
        "preview": environment(controller)["preview"] if outside else int(controller.preview),
        **{name: known.get(name, "") for name in GIVEN},
    }
