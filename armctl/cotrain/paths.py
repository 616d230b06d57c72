"""References as members of a corpus: paths that a flow can be fitted to, and that a round is kept as."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.motion import spline
from armctl.motion.corpus import MAX_MISFIT, SPLITS, Corpus
from armctl.motion.reference import Reference
from armctl.motion.sampling import path_timing

PATHS = ("control_points", "t_min", "eta", "binding", "family", "context", "split")
"""Fields of a corpus that have a row for every member."""


def as_corpus(chain: Chain, references: Sequence[Reference], families: tuple[str, ...]) -> Corpus:
    """The paths of references, all in the split "train"; those that are spline paths are found to rounding error.

    references: with meta["family"] among families.
    """
    paths = np.stack([spline.fitted(reference.q, chain.lower, chain.upper)[0] for reference in references])
    t_min, binding = path_timing(chain, paths)
    count, known = len(references), [reference.meta.get("context", -1) for reference in references]
    eta = np.clip(t_min / np.array([reference.duration for reference in references]), 1e-3, 1.0)
    family = np.array([families.index(str(reference.meta["family"])) for reference in references])
    split = np.full(count, SPLITS.index("train"))
    return Corpus(chain.name, families, paths, t_min, eta, binding, family, np.array(known), split)


def fits(chain: Chain, q: np.ndarray) -> bool:
    """Whether a motion (K, n) rad is a path from rest to rest within the limits, to 0.2 rad."""
    return spline.fitted(q, chain.lower, chain.upper)[1] <= MAX_MISFIT


def joined(*parts: Corpus) -> Corpus:
    """Several corpora of the same families as one."""
    fields: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in PATHS}
    return Corpus(parts[0].robot, parts[0].families, **fields, scene=parts[0].scene)
