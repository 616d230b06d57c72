"""Named sets of references, and any folder of the user's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from armctl.bench.sources import is_source, load_source
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.motion.corpus import build_corpus, references
from armctl.motion.files import load_suite_dir
from armctl.motion.frozen import VERSION, frozen_name, is_frozen, thaw
from armctl.motion.reaching import goal_suite, reach_suite
from armctl.motion.reference import Reference, warn_of_limits
from armctl.motion.shapes import iso_suite, shape_suite
from armctl.scene import Scene

GOALS = 24  # of reaching, where no limit is given
PROPOSED = 16  # references asked of a generator where no limit is given
SCENIC = ("corpus", "generated", "reach", "goal")  # whose motions go around obstacles
NAMES = ("shapes", "iso9283", "corpus", "generated", "reach", "goal")


def load_suite(
    name: str,
    chain: Chain,
    *,
    dt: float = 0.01,
    limit: int | None = None,
    corpus: Any = None,
    generated: str | Path | Sequence[Reference] | None = None,
    corpus_size: int = 400,
    seed: int = 0,
    scene: Scene | None = None,
) -> list[Reference]:
    """The references of a suite for an arm.

    name: `shapes`, `iso9283`, `corpus` (held-out test split), `generated`, `reach` (to random goals by the shortest
    way), `goal` (the same goals without a way), `v1` (the arm's frozen suite) or a part such as `v1-shelf-hard`, a
    frozen suite's FILE.npz or FILE.npz#shelf-hard, a folder of `.npz`/`.csv` references, or FILE.py:FUNCTION or
    MODULE:FUNCTION, called with the chain, that returns references.
    dt: sampling period, s. limit: at most so many. corpus: built with `corpus_size` and `seed` where absent. generated:
    references, the folder written by `armctl sample`, or that of a trained generator. scene: what motions keep off that
    are made for it, those of `corpus`, `generated`, `reach` and `goal`.
    Raises UsageError for an unknown suite, for one with no usable reference and for one that no scene changes; warns
    once of every reference that is over the limits of the joints.
    """
    if is_frozen(name):
        return thaw(name, chain, dt)[:limit]
    if scene is not None and name not in SCENIC:
        raise UsageError(f"The suite '{name}' is the same in every scene; choose one of {', '.join(SCENIC)}.")
    if name == "generated":
        return _generated(chain, generated, dt, limit, scene)
    if name in ("shapes", "iso9283"):
        found = (shape_suite if name == "shapes" else iso_suite)(chain, dt)[:limit]
    elif name in ("reach", "goal"):
        found = (reach_suite if name == "reach" else goal_suite)(chain, dt, limit or GOALS, seed, scene)
    elif name == "corpus":
        found = _corpus(chain, corpus, corpus_size, seed, dt, limit, scene)
    elif Path(name).is_dir():
        return load_suite_dir(name, chain, dt)[:limit]  # warns as it reads
    elif is_source(name):
        found = _own(name, chain)[:limit]
    else:
        raise UsageError(
            f"Unknown suite '{name}'; choose one of {', '.join(NAMES)}, {VERSION}, a folder of .npz or .csv "
            "references, or a function as FILE.py:NAME."
        )
    warn_of_limits(found, chain)
    return found


def suite_name(name: str) -> str:
    """The short name of a suite: itself, a function's, or the last part of a folder's path."""
    if name in NAMES or is_frozen(name):
        return frozen_name(name)
    return name.rpartition(":")[2] if is_source(name) and not Path(name).is_dir() else Path(name).resolve().name


def _own(source: str, chain: Chain) -> list[Reference]:
    try:
        found = list(load_source(source)(chain))
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"The suite '{source}' raised {type(error).__name__}: {error}; mend it first.") from error
    if not found or not all(isinstance(one, Reference) for one in found):
        raise UsageError(f"The suite '{source}' returned no list of References; make them by Reference.from_joints.")
    return found


def _corpus(
    chain: Chain, corpus: Any, size: int, seed: int, dt: float, limit: int | None, scene: Scene | None
) -> list[Reference]:
    if corpus is None:
        corpus = build_corpus(chain, size, seed, scene=scene)
    return references(corpus, chain, "test", dt, limit)


def _generated(
    chain: Chain,
    source: str | Path | Sequence[Reference] | None,
    dt: float,
    limit: int | None,
    scene: Scene | None,
) -> list[Reference]:
    if source is None:
        raise UsageError(
            "The suite 'generated' needs references; write some with 'armctl sample --out DIR' and name that folder."
        )
    if isinstance(source, str | Path) and not (Path(source) / "params.npz").is_file():
        return load_suite_dir(source, chain, dt)[:limit]
    references = (
        _proposed(Path(source), chain, dt, limit, scene) if isinstance(source, str | Path) else list(source)[:limit]
    )
    if not references:
        raise UsageError("The suite 'generated' is empty; sample more references or a lower speed.")
    warn_of_limits(references, chain)
    return references


def _proposed(folder: Path, chain: Chain, dt: float, limit: int | None, scene: Scene | None) -> list[Reference]:
    from armctl.generator import load_model, propose

    return propose(load_model(folder), chain, limit or PROPOSED, dt=dt, scene=scene)[0]
