"""The closed loop: rounds of proposing, certifying, training, measuring regret and steering what is proposed next."""

from armctl.cotrain.config import CotrainConfig
from armctl.cotrain.loop import cotrain

__all__ = ["CotrainConfig", "cotrain"]
