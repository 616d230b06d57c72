"""Making a frozen suite: certified proposals in free space and in scenes, in bands of difficulty."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from armctl import store
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.config import FlowConfig
from armctl.generator.difficulty import Dial
from armctl.generator.fresh import certified
from armctl.generator.panel import learn_dial
from armctl.generator.training import train_flow
from armctl.motion.corpus import Corpus, build_corpus
from armctl.motion.frozen import FREE, freeze
from armctl.motion.reference import Reference
from armctl.scene import Scene, load_scene

BANDS = {"easy": 0.15, "middle": 0.5, "hard": 0.9}
"""Percentile of difficulty in each band, met to 0.05; the percentiles are those of motions in free space."""
SCENES = (FREE, "table", "shelf", "pillars")


@dataclasses.dataclass(frozen=True)
class SuiteConfig:
    """What a frozen suite is made of."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    scenes: tuple[str, ...] = SCENES
    """Where the motions are: free, and scenes by name or file."""
    count: int = 8
    """Motions in every cell, a scene and a band of difficulty."""
    scenario: str = "payload"
    """Plants on which the panel of controllers says what is difficult."""
    motions: int = 1500
    """Motions of the corpus that is made for every scene."""
    seed: int = 0
    """Seed of everything."""
    flow: FlowConfig = dataclasses.field(default_factory=lambda: FlowConfig(steps=1000))
    """The generator that is trained for every scene."""

    def __post_init__(self) -> None:
        for name in ("count", "motions"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; a suite needs at least 1.")
        if not self.scenes:
            raise UsageError(f"A suite needs at least one scene; give {FREE} or a scene's name.")


def scenes_of(config: SuiteConfig, chain: Chain) -> dict[str, Scene | None]:
    """The scenes of a suite by name. Raises UsageError for unknown ones."""
    found = [None if name == FREE else load_scene(name, chain) for name in config.scenes]
    scenes = {FREE if scene is None else scene.name: scene for scene in found}
    for name in scenes:
        if "-" in name or name in BANDS or (name == FREE and scenes[name] is not None):
            raise UsageError(
                f"A scene of a suite is called {name!r}, by which its part could not be asked for; give it a name "
                f"without '-' that is none of {', '.join((FREE, *BANDS))}."
            )
    if len(scenes) < len(found):
        raise UsageError("Two scenes of the suite have the same name; give each a name of its own.")
    return scenes


def build_suite(
    config: SuiteConfig, chain: Chain, path: str | Path, progress: Callable[[str], None] = lambda text: None
) -> list[Reference]:
    """Make a frozen suite, write it to path (.npz) and return its references.

    progress: told what begins, a dial of difficulty and one stage per scene. Raises UsageError where too few motions of
    a cell are certified; nothing is written then.
    """
    scenes = scenes_of(config, chain)
    progress("learning what is difficult")
    free = build_corpus(chain, config.motions, config.seed)
    dial = learn_dial(free, chain, config.scenario, seed=config.seed)
    found: list[Reference] = []
    for name, scene in scenes.items():
        progress(f"motions in {name}")
        corpus = free if scene is None else build_corpus(chain, config.motions, config.seed, scene=scene)
        found += _cells(config, chain, dial, name, corpus)
    facts: dict[str, Any] = {"robot": chain.name, "config": config, "panel": dial.panel, "bands": BANDS}
    facts |= {"scenes": {name: scene for name, scene in scenes.items() if scene is not None}}
    facts |= {"rank_correlation": dial.critic.rank_correlation, "versions": store.versions()}
    freeze(found, path, store.plain(facts))
    return found


def _cells(config: SuiteConfig, chain: Chain, dial: Dial, name: str, corpus: Corpus) -> list[Reference]:
    """The motions of every band in the scene of a corpus."""
    flow = dataclasses.replace(config.flow, seed=config.seed)
    model = train_flow(corpus, flow, chain=chain, difficulty=dial)
    found = []
    for band, difficulty in BANDS.items():
        motions, _ = certified(model, chain, config.count, difficulty=difficulty, seed=config.seed)
        for k, one in enumerate(motions):
            meta = {**one.meta, "cell": [name, band]}
            found.append(dataclasses.replace(one, name=f"{name}_{band}_{k:02d}", meta=meta))
    return found
