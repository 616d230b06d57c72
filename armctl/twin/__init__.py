"""The twin: the PyBullet plant written in JAX, batched and differentiable."""

from armctl.twin.step import TwinInfo, TwinState, measured, reset, step

__all__ = ["TwinInfo", "TwinState", "measured", "reset", "step"]
