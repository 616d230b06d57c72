"""What the closed loop is made of."""

from dataclasses import dataclass, field

from armctl.cotrain.curricula import CURRICULA, SCORES
from armctl.errors import UsageError
from armctl.generator.config import FlowConfig
from armctl.generator.difficulty import FEWEST
from armctl.learn.learner import TrainConfig
from armctl.learn.tune import TuneConfig
from armctl.motion.families import FAMILIES

STEERINGS = ("conditioned", "chosen", "guided")


@dataclass(frozen=True)
class CotrainConfig(TuneConfig):
    """A co-training run: a tuning run in rounds, whose motions are proposed anew in every round."""

    references: int = 96
    """Motions that are trained on in a round."""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(updates=100, batch=64, horizon=32))
    """Budget of a round, and objective."""
    rounds: int = 5
    """Rounds of proposing, training and measuring."""
    curriculum: str = "regret"
    """What steers proposals: regret (error over the oracle's), uniform (nothing), corpus (motions of the corpus, none
    of the generator's), failure_bins (families and speeds that failed), learnability (p (1 - p) on the success ladder)
    or hardest (error without the oracle)."""
    steering: str = "conditioned"
    """How a score steers: conditioned (the flow learns its percentile and is asked for hard ones), guided (the same
    with the gradient of the critic inside the flow in place of emphasis) or chosen (of four times as many proposals of
    the first flow those that the critic expects to score highest)."""
    unsteered: float = 0.3
    """Share of a round's proposals that is not steered, at least 0.3."""
    emphasis: float = 2.0
    """Classifier-free guidance on the difficulty that is asked for; 1 asks as the flow was trained."""
    draws: int = 2
    """True plants on which every motion is measured, the same in all rounds."""
    motions: int = 1500
    """Motions of the corpus that the generator learns from."""
    without: tuple[str, ...] = ()
    """Families of motions that are held out of corpus and generator; they join the suite out of family."""
    labelled: int = 512
    """Motions of the corpus that are told how difficult they are whenever the flow is refined."""
    refine: int = 200
    """Updates of the flow between two rounds."""
    flow: FlowConfig = field(default_factory=FlowConfig)
    """The generator before the first round."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rounds", "draws", "labelled", "refine"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; co-training needs at least 1.")
        if self.curriculum not in CURRICULA:
            raise UsageError(f"Unknown curriculum {self.curriculum!r}; choose one of {', '.join(CURRICULA)}.")
        if self.curriculum in SCORES and self.references < FEWEST:
            raise UsageError(
                f"references is {self.references}; the critic of curriculum {self.curriculum} needs {FEWEST} or more."
            )
        if self.steering not in STEERINGS:
            raise UsageError(f"Unknown steering {self.steering!r}; choose one of {', '.join(STEERINGS)}.")
        if self.steering != "conditioned" and self.curriculum not in SCORES:
            raise UsageError(
                f"steering is {self.steering}, but curriculum {self.curriculum} has no score to steer by; give one of "
                f"{', '.join(SCORES)}, or leave steering out."
            )
        if not 0.3 <= self.unsteered <= 1:
            raise UsageError(f"unsteered is {self.unsteered:g}; against collapse it must lie in [0.3, 1].")
        if not self.emphasis >= 0:
            raise UsageError(f"emphasis is {self.emphasis:g}; give 0 or more, 1 to ask as the flow was trained.")
        if unknown := set(self.without) - set(FAMILIES):
            raise UsageError(f"Unknown family {sorted(unknown)[0]!r}; choose of {', '.join(FAMILIES)}.")
        if not set(FAMILIES) - set(self.without):
            raise UsageError("All families are held out; leave some to learn from.")
