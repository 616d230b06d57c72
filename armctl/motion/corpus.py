"""The motion corpus: a timed, limit-keeping set of paths of one arm, the data that the generator learns from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.motion import spline
from armctl.motion.families import FAMILIES
from armctl.motion.files import load_suite_dir
from armctl.motion.free import check_scene, is_free
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_reference, path_timing
from armctl.scene.body import Scene

SPLITS = ("train", "val", "test")
SPLIT_SHARES = (0.8, 0.1, 0.1)
ETA_RANGE = (0.3, 1.0)
REVERSED = 0.25  # share of members that are another member run backwards
CLEARANCE_SAMPLES = 49
BLOCK = 16  # paths handled at once, sized for the cache
DEMONSTRATION = "demonstration"
MAX_MISFIT = 0.2  # rad a spline may lie off a demonstration
Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Corpus:
    """N rest-to-rest paths of one arm with their timing.

    robot: name of the arm. families: names that `family` indexes. control_points: (N, C, n) rad, within the limits.
    t_min: (N,) s, shortest duration. eta: (N,) speed, the motion takes t_min / eta. binding: (N,) index into
    spline.CONSTRAINTS. family: (N,) index. context: (N,) number of the start and goal, which a reversed path shares
    with its parent. split: (N,) index into SPLITS, one per context. scene: that they keep off, None in free space.
    """

    robot: str
    families: tuple[str, ...]
    control_points: np.ndarray
    t_min: np.ndarray
    eta: np.ndarray
    binding: np.ndarray
    family: np.ndarray
    context: np.ndarray
    split: np.ndarray
    scene: Scene | None = None

    def __len__(self) -> int:
        return len(self.t_min)

    @property
    def duration(self) -> np.ndarray:
        """(N,) s."""
        return self.t_min / self.eta

    @property
    def start(self) -> np.ndarray:
        """(N, n) rad."""
        return self.control_points[:, 0]

    @property
    def goal(self) -> np.ndarray:
        """(N, n) rad."""
        return self.control_points[:, -1]

    @property
    def inner(self) -> np.ndarray:
        """The free control points, (N, C - 6, n) rad."""
        return self.control_points[:, spline.TIED : -spline.TIED]

    @property
    def residual(self) -> np.ndarray:
        """Inner control points off the minimum-jerk straight line, (N, C - 6, n) rad."""
        return self.inner - spline.straight_inner(self.start, self.goal, self.control_points.shape[1])

    def take(self, rows: np.ndarray) -> "Corpus":
        """The members with these indices or this mask."""
        names = ("control_points", "t_min", "eta", "binding", "family", "context", "split")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def in_split(self, split: str) -> np.ndarray:
        """Which members (N,) belong to a split. Raises UsageError for a split not in SPLITS."""
        if split not in SPLITS:
            raise UsageError(f"Unknown split '{split}'; choose one of {', '.join(SPLITS)}.")
        return self.split == SPLITS.index(split)

    def subset(self, split: str) -> "Corpus":
        """The members of one split. Raises UsageError for a split not in SPLITS."""
        return self.take(self.in_split(split))


def _blocks(function: Callable[[np.ndarray], Any], paths: np.ndarray, tell: Progress | None = None) -> Any:
    """Apply a batched function to blocks of paths and join the results (each an array or a tuple of arrays).

    tell: called after every block, with how many paths are done.
    """
    parts = []
    for k in range(0, len(paths), BLOCK):
        parts.append(function(paths[k : k + BLOCK]))
        if tell is not None:
            tell(min(k + BLOCK, len(paths)))
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    return np.concatenate(parts)


def paths_free(chain: Chain, paths: np.ndarray, scene: Scene | None = None) -> np.ndarray:
    """Whether the arm keeps off itself, the floor and a scene along paths (N, C, n) rad -> (N,)."""

    def block(part: np.ndarray) -> np.ndarray:
        return is_free(chain, spline.evaluate(part, CLEARANCE_SAMPLES, derivatives=0)[0], scene).all(axis=-1)

    return _blocks(block, paths)


def _draw(
    chain: Chain,
    rng: np.random.Generator,
    family: str,
    wanted: int,
    tell: Progress | None = None,
    scene: Scene | None = None,
) -> tuple[np.ndarray, ...]:
    """Up to `wanted` paths (N, C, n) of one family that are clear and can be timed, with t_min and binding.

    tell: called with how many there are as they are timed.
    """
    kept: list[tuple[np.ndarray, ...]] = []
    rate = 0.5
    for _ in range(8):
        before = sum(len(k[0]) for k in kept)
        missing = wanted - before
        if missing <= 0:
            break
        tried = min(4000, int(1.3 * missing / rate) + 8)
        paths = FAMILIES[family](chain, rng, tried)
        paths = paths[paths_free(chain, paths, scene)] if len(paths) else paths
        rate = max(len(paths) / tried, 0.02)
        if len(paths):
            further = tell and partial(_further, tell, before)
            t_min, binding = _blocks(lambda p: path_timing(chain, p), paths[:missing], further)
            good = np.isfinite(t_min) & (t_min > 0)
            kept.append((paths[:missing][good], t_min[good], binding[good]))
    if not kept:
        return np.empty((0, spline.CONTROL_POINTS, chain.n)), np.empty(0), np.empty(0, int)
    return tuple(np.concatenate(column)[:wanted] for column in zip(*kept, strict=True))


def _further(tell: Progress, before: int, count: int) -> None:
    tell(before + count)


def _split_by_context(rng: np.random.Generator, context: np.ndarray) -> np.ndarray:
    """One split index per member (N,), the same for all members of a context."""
    number, inverse = np.unique(context, return_inverse=True)
    edges = np.round(np.cumsum(SPLIT_SHARES) * len(number)).astype(int)
    rank = rng.permutation(len(number))
    return np.searchsorted(edges, rank, side="right")[inverse].clip(0, len(SPLITS) - 1)


def build_corpus(
    chain: Chain,
    count: int,
    seed: int = 0,
    families: Sequence[str] = tuple(FAMILIES),
    *,
    scene: Scene | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """A corpus of `count` paths, equal shares of the families, all inside the limits and clear of arm, floor and scene.

    chain: the arm. families: names out of FAMILIES; one the arm cannot perform leaves its share to the others.
    scene: what stands around it. progress: called with how many of `count` there are, again and again.
    The same seed gives the same corpus. Raises UsageError for an unknown family, if the arm can perform none, and for a
    body of the scene in the arm.
    """
    unknown = set(families) - set(FAMILIES)
    if unknown or count < 1:
        given = f"{count} from {sorted(unknown or families)}"
        raise UsageError(f"Cannot build a corpus of {given}; families are {', '.join(FAMILIES)}.")
    check_scene(chain, scene)
    rng = np.random.default_rng(seed)
    parents = count - int(REVERSED * count)
    drawn: list[tuple[Any, ...]] = []
    missing = parents
    for k, family in enumerate(reversed(families)):  # the sure families come last and fill up what others leave
        share = -(-missing // (len(families) - k))
        tell = progress and partial(_share, progress, count, parents, parents - missing)
        drawn.append((*_draw(chain, rng, family, share, tell, scene), families.index(family)))
        missing -= len(drawn[-1][1])
    paths, t_min, binding = (np.concatenate([d[k] for d in drawn]) for k in range(3))
    kind = np.concatenate([np.full(len(d[1]), d[3]) for d in drawn])
    if not len(paths):
        where = f" in scene {scene.name!r}" if scene is not None else ""
        raise UsageError(f"Found no motion of {chain.name} that is free of collisions{where} and within its limits.")
    return replace(_with_reversals(chain, rng, count, families, (paths, t_min, binding, kind)), scene=scene)


def _share(progress: Progress, count: int, parents: int, before: int, further: int) -> None:
    """Tell how many of `count` there are where so many of the parents are drawn, each with its share of reversals."""
    progress(count * (before + further) // parents)


def _with_reversals(
    chain: Chain, rng: np.random.Generator, count: int, families: Sequence[str], parents: tuple[np.ndarray, ...]
) -> Corpus:
    """The parents and, up to `count`, some run backwards; limits do not tell the direction, so t_min stays."""
    total = len(parents[0])
    back = rng.permutation(total)[: count - total]
    paths, t_min, binding, family = (np.concatenate([x, x[back]]) for x in parents)
    paths[total:] = paths[total:, ::-1]
    context = np.concatenate([np.arange(total), back])
    order = rng.permutation(len(paths))
    fields: dict[str, Any] = {"t_min": t_min, "binding": binding, "family": family, "context": context}
    fields |= {"eta": rng.uniform(*ETA_RANGE, len(paths)), "split": _split_by_context(rng, context)}
    return Corpus(chain.name, tuple(families), paths, **fields).take(order)


def import_demonstrations(folder: str | Path, chain: Chain, seed: int = 0) -> Corpus:
    """A corpus fitted to the user's own demonstrations, every .npz and .csv of a folder, one context each.

    Each is fitted by a rest-to-rest spline within the limits and keeps its duration where that is feasible, else gets
    its shortest one. Raises UsageError for a file that cannot be read or that a spline misses by more than 0.2 rad.
    """
    demos = load_suite_dir(folder, chain)
    paths = np.stack([_fit_demonstration(chain, demo) for demo in demos])
    t_min, binding = _blocks(lambda p: path_timing(chain, p), paths)
    eta = np.clip(t_min / np.array([demo.duration for demo in demos]), 1e-3, 1.0)
    context = np.arange(len(demos))
    split = _split_by_context(np.random.default_rng(seed), context)
    family = np.zeros(len(demos), int)
    return Corpus(chain.name, (DEMONSTRATION,), paths, t_min, eta, binding, family, context, split)


def _fit_demonstration(chain: Chain, demo: Reference) -> np.ndarray:
    path, miss = spline.fitted(demo.q, chain.lower, chain.upper)
    if miss > MAX_MISFIT:
        raise UsageError(
            f"Demonstration '{demo.name}' is too winding for one path (missed by {miss:.2f} rad); cut it into parts."
        )
    return path


def references(corpus: Corpus, chain: Chain, split: str, dt: float = 0.01, limit: int | None = None) -> list[Reference]:
    """References of one split, at most `limit`, on a grid of dt s; meta has family, eta, t_min, binding, context."""
    part = corpus.subset(split)
    count = len(part) if limit is None else min(limit, len(part))
    return [_reference(part, chain, split, dt, k) for k in range(count)]


def _reference(part: Corpus, chain: Chain, split: str, dt: float, k: int) -> Reference:
    family = part.families[part.family[k]]
    meta = {"family": family, "split": split, "context": int(part.context[k])}
    binding = spline.CONSTRAINTS[int(part.binding[k])]
    name = f"{family}_{split}_{k:04d}"
    timing = (part.t_min[k], part.eta[k], dt)
    return path_reference(chain, part.control_points[k], *timing, binding=binding, name=name, meta=meta)
