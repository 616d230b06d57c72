"""Where proposals start, end and what kind of motion they are: contexts drawn around those of the corpus."""

import numpy as np

from armctl.chain import Chain, joint_box
from armctl.errors import UsageError
from armctl.generator.flow import FlowModel
from armctl.generator.paths import PathCoder, check_percentile
from armctl.motion.free import is_free
from armctl.motion.sampling import check_eta
from armctl.scene.body import Scene

# Of each joint's half range: how far a new context lies from the one it was drawn around. Much less and every proposal
# is the neighbour of a training path (0.08 on the Panda: Z_U -9); much more and it is told from real (0.35: C2ST 0.59).
SPREAD = 0.25
ROUNDS = 20


def draw_contexts(
    model: FlowModel, chain: Chain, rng: np.random.Generator, count: int, *, speed: float | None = None,
    difficulty: float | None = None, family: str | None = None, scene: Scene | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Conditions (count, C) of new contexts, each a corpus context moved a little, and which ones they were (count,).

    Start and goal move together, which keeps closed motions closed and the reach of a motion as it is in the corpus.
    speed: eta in (0, 1]; difficulty: percentile in [0, 1]; family: of the motion; for all of them, or as in the corpus
    context where None. scene: what start and goal keep off. Raises UsageError for an unknown family, a speed or
    difficulty out of its range, and where no clear start and goal is found.
    """
    coder, contexts = model.paths, np.asarray(model.contexts, float)
    columns = coder.columns
    pool: np.ndarray = np.arange(len(contexts))
    if family is not None:
        pool = np.flatnonzero(contexts[:, columns.family.start + coder.index(family)] > 0.5)
    if speed is not None:
        check_eta(speed)
    if difficulty is not None:
        check_percentile(difficulty)
    chosen, origin = np.empty((0, contexts.shape[1])), np.empty(0, int)
    for _ in range(ROUNDS):
        drawn = rng.choice(pool, 2 * count) if len(pool) else pool
        rows = _moved(contexts[drawn], coder, chain, rng)
        clear = _clear(rows, coder, chain, scene)
        chosen = np.concatenate([chosen, rows[clear]])[:count]
        origin = np.concatenate([origin, drawn[clear]])[:count]
        if len(chosen) == count:
            break
    else:
        raise UsageError(f"Found {len(chosen)} of {count} clear start and goal pairs; train on another corpus.")
    for value, place in ((speed, columns.speed), (difficulty, columns.difficulty)):
        if value is not None:
            chosen[:, place] = value, 1.0
    return chosen.astype(np.float32), origin


def _moved(rows: np.ndarray, coder: PathCoder, chain: Chain, rng: np.random.Generator) -> np.ndarray:
    """Shift start and goal (normalised) by the same amount, no further than both stay within the joint box."""
    lower, upper = (coder.normalise(bound) for bound in joint_box(chain))
    ends = rows[:, : 2 * coder.n].reshape(-1, 2, coder.n)
    shift = SPREAD * rng.normal(size=(len(rows), coder.n))
    low, high = np.minimum(lower - ends.min(1), 0.0), np.maximum(upper - ends.max(1), 0.0)
    bounded = np.asarray(coder.bounded)
    shift = np.where(bounded, np.clip(shift, low, high), shift)
    return np.concatenate([(ends + shift[:, None]).reshape(len(rows), -1), rows[:, 2 * coder.n :]], axis=1)


def _clear(rows: np.ndarray, coder: PathCoder, chain: Chain, scene: Scene | None) -> np.ndarray:
    ends = coder.denormalise(rows[:, : 2 * coder.n].reshape(-1, 2, coder.n))
    return is_free(chain, ends, scene).all(axis=1)
