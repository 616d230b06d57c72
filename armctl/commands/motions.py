"""Motions that commands make before they do what they are for, with progress."""

from pathlib import Path
from typing import Any

from armctl.chain import Chain
from armctl.commands.console import compiling, counting
from armctl.motion.corpus import Corpus, build_corpus
from armctl.motion.reference import Reference
from armctl.scene import Scene

FLOW_SECONDS = 15
"""What compiling the flow takes about, with guidance and without."""


def make_corpus(chain: Chain, count: int, seed: int, scene: Scene | None = None) -> Corpus:
    """A corpus of so many motions of an arm in a scene."""
    with counting(count, f"make motions of {chain.name}", "motion") as tell:
        return build_corpus(chain, count, seed, scene=scene, progress=tell)


def propose_certified(model: Any, chain: Chain, count: int, **options: Any) -> tuple[list[Reference], Any]:
    """So many certified references of a generator, and what became of all proposals; options as of `propose`."""
    from armctl.generator import propose

    compiling(FLOW_SECONDS, "the flow")
    with counting(count, "certify", "reference") as tell:
        return propose(model, chain, count, **options, progress=lambda kept, _: tell(kept))


def generated(
    suite: str, source: Path | None, chain: Chain, dt: float, limit: int | None, scene: Scene | None = None
) -> Any:
    """What a suite takes as `generated`: the folder that was named, or what the generator in it proposes."""
    from armctl.bench.suite import PROPOSED
    from armctl.generator import load_model

    if suite != "generated" or source is None or not (source / "params.npz").is_file():
        return source
    return propose_certified(load_model(source), chain, limit or PROPOSED, dt=dt, scene=scene)[0]
