"""Where a rollout in the twin first ceased to be finite: which arm, which quantity, which joint, which physics step.

    start = twin.reset(arm, config, q0)                                    # (B, n)
    states = jax.lax.scan(step, start, commands)[1]                        # TwinState of (T, B, ...) arrays
    broken = nonfinite.diagnose(arm, config, params, start, commands, states)
    if broken is not None:
        raise RuntimeError(str(broken))

Nothing is added to the rollout itself: its results are searched once they are there.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace

import jax
import numpy as np

from armctl import twin
from armctl.arm import Arm
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import ServoConfig
from armctl.twin.step import TwinState
from armctl.typing import Array

PER_JOINT = ("command", "torque", "qd", "q")


@dataclass(frozen=True)
class Breakdown:
    """The first entry of a rollout that is not finite, and what is known around it."""

    quantity: str
    index: tuple[int, ...]  # within the quantity: the joint, where it has one entry per joint
    value: float  # nan, inf or -inf
    step: int  # control step since the start of the rollout, from 0
    arm: int  # index in the batch
    arms: int  # how many arms of the batch were not finite by the end
    who: str = ""  # what the arm is, in words
    physics_step: int | None = None  # since the start of the rollout, from 0; None where it could not be told
    cause: str = ""  # a sentence, where one is known

    def __str__(self) -> str:
        name = f"Arm {self.arm} of the batch{f' ({self.who})' if self.who else ''}"
        what = _entry(self.quantity, self.index)
        when = f"control step {self.step}"
        if self.physics_step is not None:
            when += f" (physics step {self.physics_step})"
        more = f"; {self.arms} arms broke in all" if self.arms > 1 else ""
        return f"{name}: {what} became {self.value:g} at {when}{more}.{f' {self.cause}' if self.cause else ''}"


def _entry(quantity: str, index: tuple[int, ...]) -> str:
    """A quantity and the entry of it, in words; joints are counted from 1."""
    if not index:
        return quantity
    if len(index) == 1 and quantity in PER_JOINT:
        return f"{quantity} of joint {index[0] + 1}"
    return f"{quantity}[{', '.join(map(str, index))}]"


def first_break(trace: Mapping[str, Array]) -> Breakdown | None:
    """The earliest entry that is not finite; within a step the first quantity, then the first arm; None if all are.

    trace: arrays (T, B, ...) by name, in the order of cause and effect.
    """
    arrays = {name: np.asarray(x) for name, x in trace.items()}
    bad = {name: ~np.isfinite(x).reshape(*x.shape[:2], -1) for name, x in arrays.items()}
    rows = {name: flags.any(axis=(1, 2)) for name, flags in bad.items()}
    found = [(int(np.argmax(flags)), k, name) for k, (name, flags) in enumerate(rows.items()) if flags.any()]
    if not found:
        return None
    step, _, name = min(found)
    arm, entry = (int(i) for i in np.argwhere(bad[name][step])[0])
    shape = arrays[name].shape[2:]
    index = tuple(int(i) for i in np.unravel_index(entry, shape)) if shape else ()
    arms = np.any([flags.any(axis=(0, 2)) for flags in bad.values()], axis=0)
    return Breakdown(name, index, float(arrays[name][step, arm][index]), step, arm, int(arms.sum()))


def diagnose(
    arm: Arm,
    config: ServoConfig,
    params: PlantParams,
    start: TwinState,
    commands: Array,
    states: TwinState,
    *,
    stops: bool = True,
) -> Breakdown | None:
    """Where a batch of rollouts of `twin.step` first ceased to be finite, to the physics step; None if nowhere.

    arm: the nominal arm; params: the true plants, unbatched or (B, ...); start: state before the first step, (B, ...);
    commands: (T, B, m); states: after every step, (T, B, ...); stops: as in the rollout's twin.step.
    The control step in which an arm broke is rolled again.
    """
    broken = first_break({"command": commands, "qd": states.qd, "q": states.q})
    if broken is None:
        return None
    i, t = broken.arm, broken.step
    before = jax.tree.map(lambda x, y: np.asarray(y if t == 0 else x[t - 1])[i], states, start)
    batched = np.ndim(params.mass) > 1
    plant = jax.tree.map(lambda x: np.asarray(x)[i] if batched else np.asarray(x), params)
    return refine(arm, config, plant, before, np.asarray(commands)[t, i], broken, stops=stops)


def refine(
    arm: Arm,
    config: ServoConfig,
    plant: PlantParams,
    before: TwinState,
    command: Array,
    broken: Breakdown,
    *,
    stops: bool = True,
) -> Breakdown:
    """A breakdown to the physics step, and the parameter of the plant that is to blame where one is not finite.

    plant, before, command: of the one arm, its state when the control step began. Where the step, rolled again, stays
    finite, the breakdown is returned as it is.
    """
    broken = replace(broken, cause=blame(plant))
    first = broken.step * config.substeps
    if broken.quantity == "command":
        return replace(broken, physics_step=first)

    def after(count: int) -> Breakdown | None:
        state, info = _compiled(arm, config, plant, before, command, stops=stops, substeps=count)
        parts = {"torque": info.torque, "qd": state.qd, "q": state.q}
        return first_break({name: np.asarray(x)[None, None] for name, x in parts.items()})

    # what is not finite stays so: halving finds the physics step with the fewest compiled lengths
    counts = range(1, config.substeps + 1)
    k = bisect_left(counts, True, key=lambda count: after(count) is not None)
    inner = after(counts[k]) if k < config.substeps else None
    if inner is None:
        return broken
    what = replace(broken, quantity=inner.quantity, index=inner.index, value=inner.value)
    return replace(what, physics_step=first + k)


_compiled = jax.jit(twin.step, static_argnums=1, static_argnames=("stops", "substeps"))


def reports(broken: np.ndarray, names: tuple[str, ...], joints: int) -> np.ndarray:
    """Sentences on the arms of a fleet that broke in a step, empty for the others.

    broken: (B,) entry of the per-joint quantities `names`, laid end to end, -1 where all are finite -> (B,) of str.
    """
    what = [_entry(names[k // joints], (k % joints,)) if k >= 0 else "" for k in broken.tolist()]
    return np.array([f"Arm {i}: {x} is not finite; its episode ends." if x else "" for i, x in enumerate(what)], object)


def blame(plant: PlantParams) -> str:
    """A sentence on the first parameter of a plant that is not finite; empty if all are."""
    for path, value in jax.tree_util.tree_flatten_with_path(plant)[0]:
        bad = np.argwhere(~np.isfinite(np.asarray(value, float)))
        if len(bad):
            names = [str(getattr(part, "name", getattr(part, "key", ""))) for part in path]
            what = _entry(" ".join(name for name in names if name != "effects"), tuple(int(i) for i in bad[0]))
            return f"The plant's own {what} is not finite; correct the plant."
    return ""
