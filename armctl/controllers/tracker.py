"""The differential network: a bank of filters on physical parameters, and the torques that no model has, learned.

What the plant is - load, friction, torque constants, delay - the filters find out in some control steps. What all of an
arm's episodes have in common, and no model knows, the network learns over training: by the gradient of the tracking
error through the twin, and by how well the filters' innovations are explained. How much of it acts here and now is
again for the filters to find out.
"""

from armctl.arm import Arm
from armctl.controllers.filter_bank import FilterBank
from armctl.controllers.learned_torques import LearnedTorques
from armctl.typing import Array


class Tracker(FilterBank):
    """Filter bank + learned joint torques."""

    name = "tracker"
    title = "Learned tracker"
    family = "learned"
    FEATURES = 2

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.torques = LearnedTorques(arm, seed)

    def learned(self, q: Array, qd: Array) -> Array:
        """Features (..., n, 2)."""
        return self.torques(q, qd)
