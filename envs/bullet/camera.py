"""Pictures of the arm, from a world of their own, so that looking never changes the physics."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.envs.bullet.body import load_arm
from armctl.envs.bullet.client import p, quiet
from armctl.envs.bullet.pose import Numbers
from armctl.errors import UsageError

TARGET_COLOUR = (0.95, 0.35, 0.1, 0.9)
FLOOR_COLOUR = (0.66, 0.7, 0.75, 1.0)


class Camera:
    """Draws an arm, a floor and a target marker.

    chain: the arm, its visual shapes. human: open a window (one per process) instead of rendering off screen.
    Raises UsageError where a window is asked for and there is no display.
    """

    def __init__(self, chain: Chain, *, human: bool = False, width: int = 480, height: int = 360) -> None:
        if human:
            require_display()
        self._size, self._human = (width, height), human
        with quiet():
            self._client = p.connect(p.GUI if human else p.DIRECT)
        if self._client < 0:
            raise RuntimeError("PyBullet could not open another client: close environments you no longer use.")
        client = {"physicsClientId": self._client}
        if human:
            p.configureDebugVisualizer(p.COV_ENABLE_GUI, 0, **client)
        shapes = tuple(s for s in chain.shapes if s.role == "visual")
        self._arm = load_arm(replace(chain, shapes=shapes), self._client)
        self._add(p.GEOM_BOX, FLOOR_COLOUR, halfExtents=[1.5, 1.5, 0.005], position=(0, 0, -0.006))
        self._target = self._add(p.GEOM_SPHERE, TARGET_COLOUR, radius=0.02)
        self._axes = [
            self._add(p.GEOM_BOX, (*(0.9 * np.eye(3)[i]), 1.0), halfExtents=(0.003 + 0.03 * np.eye(3)[i]).tolist())
            for i in range(3)
        ]
        offsets = np.vstack([chain.T_parent_joint[:, :3, 3], chain.T_last_tip[:3, 3]])
        reach = float(np.linalg.norm(offsets, axis=-1).sum())
        self._distance = 0.9 * reach + 0.35
        self._look_at = (0.22 * reach, 0.0, 0.36 * reach)

    def _add(self, kind: int, colour: Sequence[float], position: Sequence[float] = (0, 0, 0), **size: Any) -> int:
        client = {"physicsClientId": self._client}
        shape = p.createVisualShape(kind, rgbaColor=colour, **size, **client)
        return p.createMultiBody(0, -1, shape, position, **client)

    def place(self, q: Numbers, target: Numbers) -> None:
        """Show the arm at q (n,) and the target at a pose (7,)."""
        client = {"physicsClientId": self._client}
        for joint, position in enumerate(q):
            p.resetJointState(self._arm, joint, float(position), **client)
        position, quat = list(target[:3]), list(target[3:])
        p.resetBasePositionAndOrientation(self._target, position, quat, **client)
        for i, axis in enumerate(self._axes):
            tip = p.multiplyTransforms(position, quat, (0.03 * np.eye(3)[i]).tolist(), [0, 0, 0, 1])
            p.resetBasePositionAndOrientation(axis, *tip, **client)

    def picture(self) -> np.ndarray:
        """RGB image (height, width, 3) uint8 from a fixed camera in front of the arm."""
        width, height = self._size
        client = {"physicsClientId": self._client}
        view = p.computeViewMatrixFromYawPitchRoll(self._look_at, self._distance, 52, -22, 0, 2, **client)
        lens = p.computeProjectionMatrixFOV(45, width / height, 0.05, 10, **client)
        image = p.getCameraImage(
            width,
            height,
            view,
            lens,
            lightDirection=(1.2, -1.6, 3.0),
            lightColor=(1, 1, 1),
            shadow=1,
            lightAmbientCoeff=0.55,
            lightDiffuseCoeff=0.5,
            lightSpecularCoeff=0.15,
            renderer=p.ER_TINY_RENDERER,
            **client,
        )[2]
        return np.reshape(np.asarray(image, np.uint8), (height, width, 4))[..., :3].copy()

    def close(self) -> None:
        """Disconnect; any number of times."""
        if self._client >= 0 and p.isConnected(self._client):
            p.disconnect(self._client)
        self._client = -1


def require_display() -> None:
    """Raise UsageError where no window can be opened: PyBullet would end the interpreter there."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        raise UsageError(
            "render_mode='human' needs a display, and DISPLAY is not set: use render_mode='rgb_array', or run under "
            "xvfb-run."
        )
