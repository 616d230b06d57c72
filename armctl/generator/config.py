"""What the flow generator is made of and how it is trained."""

import dataclasses

from armctl.errors import UsageError
from armctl.settings import check_finite


@dataclasses.dataclass(frozen=True)
class FlowConfig:
    """Sizes, training schedule and sampler of the conditional flow; the same object is written to config.json."""

    width: int = 256
    """Features of the residual stream."""
    embedding: int = 64
    """Features of the embedded time and condition."""
    blocks: int = 3
    """Residual blocks (three of width 256 are about 350 thousand parameters)."""
    steps: int = 1500
    """Gradient steps."""
    batch: int = 256
    """Trajectories per gradient step."""
    chunk: int = 100
    """Gradient steps per compiled scan; one line of train and validation loss is logged per chunk."""
    learning_rate: float = 1e-3
    """Peak rate of the warm-up and cosine schedule."""
    weight_decay: float = 1e-4
    """Decoupled weight decay of AdamW."""
    clip: float = 1.0
    """Largest global gradient norm."""
    ema: float = 0.995
    """Decay of the averaged parameters, which are the ones sampled."""
    condition_dropout: float = 0.15
    """Probability that the family of a training trajectory, and independently its speed and difficulty, is withheld."""
    reversal: bool = True
    """Whether every training trajectory is also seen backwards, start and goal exchanged."""
    max_nonfinite: int = 20
    """Consecutive non-finite updates that are skipped before training stops with an error."""
    sampler: str = "heun"
    """Integrator of the flow: "euler" (one evaluation per step) or "heun" (two)."""
    sampler_steps: int = 16
    """Integration steps from noise to trajectory."""
    seed: int = 0
    """Seed of the initialisation, minibatches and noise."""

    def __post_init__(self) -> None:
        check_finite(self)
        for name in ("width", "embedding", "blocks", "steps", "batch", "chunk", "sampler_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"FlowConfig.{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("learning_rate", "clip", "max_nonfinite"):
            if not getattr(self, name) > 0:
                raise UsageError(f"FlowConfig.{name} is {getattr(self, name)}; it must be above 0.")
        for name in ("ema", "condition_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"FlowConfig.{name} is {getattr(self, name)}; it must lie in [0, 1].")
        if self.sampler not in ("euler", "heun"):
            raise UsageError(f'FlowConfig.sampler is {self.sampler!r}; choose "euler" or "heun".')
