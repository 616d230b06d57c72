"""Inverse kinematics and the arm's own position loop: what most arms are driven by, and what PyBullet's examples do."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import Controller
from armctl.controllers.preview import ahead, lead_gain, lead_steps
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array


class Target(NamedTuple):
    """Memory: where the position loop was sent so far."""

    q: Array  # (..., n) rad
    step: Array  # (...) control steps so far


class JointServo(Controller):
    """The target is q_ref, read as far ahead as the position loop lags; a command is the change of the target.

    The reference holds the inverse kinematics of its poses; the loop is the plant's (plant.servo, control="position").
    """

    name = "joint_servo"
    title = "Inverse kinematics + joint servo"
    family = "classical"
    control = "position"

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.lead = lead_gain(preview, 4.0)  # a loop of 25 1/s lags 40 ms

    def init_carry(self, batch: tuple[int, ...] = ()) -> Target:
        """Not sent anywhere yet: where the arm is."""
        return Target(jnp.zeros((*batch, self.arm.n)), jnp.zeros(batch))

    def __call__(self, carry: Target, m: Measurement, w: Window) -> tuple[Any, Array]:
        """The way from the last target to the reference's joint positions, later."""
        last = jnp.where((carry.step == 0)[..., None], m.q, carry.q)
        target = ahead(w, lead_steps(self.lead, self.preview)).q[..., 0, :]
        return Target(target, carry.step + 1), target - last
