"""Where proposals start, end and what kind of motion they are: contexts drawn around those of the corpus."""

import numpy as np

from armctl.chain import Chain, joint_box
from armctl.errors import UsageError
from armctl.generator.flow import FlowModel
from armctl.generator.paths import PathCoder
from armctl.generator.request import Request
from armctl.motion.free import is_free
from armctl.scene import Scene

# Of each joint's half range: how far a new context lies from the one it was drawn around. Much less and every proposal
# is the neighbour of a training path (0.08 on the Panda: Z_U -9); much more and it is told from real (0.35: C2ST 0.59).
SPREAD = 0.25
ROUNDS = 20
ALIKE = 0.1  # share of the corpus contexts, the most alike ones, that serve where start and goal are both given
CHOICE = 4  # postures among which one is drawn where several answer what is asked


def draw_contexts(
    model: FlowModel, chain: Chain, rng: np.random.Generator, count: int, request: Request
) -> tuple[np.ndarray, np.ndarray]:
    """Conditions (count, C) of new contexts, each a corpus context moved a little, and which ones they were (count,).

    Start and goal move together, which keeps closed motions closed and the reach of a motion as it is in the corpus; to
    where the request has them, if it does. Raises UsageError where no clear start and goal is found.
    """
    coder, contexts = model.paths, np.asarray(model.contexts, float)
    pool = _pool(contexts, coder, request)
    chosen, origin = np.empty((0, contexts.shape[1])), np.empty(0, int)
    for _ in range(ROUNDS):
        drawn = rng.choice(pool, 2 * count) if len(pool) else pool
        rows = _moved(contexts[drawn], coder, chain, rng, request)
        clear = _clear(rows, coder, chain, request.scene)
        chosen = np.concatenate([chosen, rows[clear]])[:count]
        origin = np.concatenate([origin, drawn[clear]])[:count]
        if len(chosen) == count:
            break
    else:
        raise UsageError(f"Found {len(chosen)} of {count} clear start and goal pairs; train on another corpus.")
    for value, place in ((request.speed, coder.columns.speed), (request.difficulty, coder.columns.difficulty)):
        if value is not None:
            chosen[:, place] = value, 1.0
    return chosen.astype(np.float32), origin


def _pool(contexts: np.ndarray, coder: PathCoder, request: Request) -> np.ndarray:
    """Numbers of the corpus contexts that new ones are drawn around."""
    pool: np.ndarray = np.arange(len(contexts))
    if request.family is not None:
        pool = np.flatnonzero(contexts[:, coder.columns.family.start + coder.index(request.family)] > 0.5)
    if request.start is not None and request.goal is not None and len(pool):
        way = coder.normalise(request.goal[0]) - coder.normalise(request.start[0])
        off = np.linalg.norm(contexts[pool, coder.n : 2 * coder.n] - contexts[pool, : coder.n] - way, axis=1)
        pool = pool[np.argsort(off, kind="stable")[: max(1, int(ALIKE * len(pool)))]]
    return pool


def _moved(rows: np.ndarray, coder: PathCoder, chain: Chain, rng: np.random.Generator, request: Request) -> np.ndarray:
    """Start and goal (normalised) shifted by the same amount, no further than both stay within the joint box.

    A start or goal that is given is where it has to be, and the other one goes with it.
    """
    lower, upper = (coder.normalise(bound) for bound in joint_box(chain))
    ends = rows[:, : 2 * coder.n].reshape(-1, 2, coder.n)
    start, goal = (_drawn(asked, coder, rng, len(rows)) for asked in (request.start, request.goal))
    if start is not None:
        shift = start - ends[:, 0]
    elif goal is not None:
        shift = goal - ends[:, 1]
    else:
        shift = SPREAD * rng.normal(size=(len(rows), coder.n))
    low, high = np.minimum(lower - ends.min(1), 0.0), np.maximum(upper - ends.max(1), 0.0)
    moved = ends + np.where(np.asarray(coder.bounded), np.clip(shift, low, high), shift)[:, None]
    for place, given in enumerate((start, goal)):
        if given is not None:
            moved[:, place] = given
    return np.concatenate([moved.reshape(len(rows), -1), rows[:, 2 * coder.n :]], axis=1)


def _drawn(asked: np.ndarray | None, coder: PathCoder, rng: np.random.Generator, count: int) -> np.ndarray | None:
    """One of the likeliest postures asked for, for each of `count` contexts, (count, n) normalised."""
    if asked is None:
        return None
    return coder.normalise(asked[rng.integers(min(len(asked), CHOICE), size=count)])


def _clear(rows: np.ndarray, coder: PathCoder, chain: Chain, scene: Scene | None) -> np.ndarray:
    ends = coder.denormalise(rows[:, : 2 * coder.n].reshape(-1, 2, coder.n))
    return is_free(chain, ends, scene).all(axis=1)
