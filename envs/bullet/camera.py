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
from armctl.envs.bullet.scene import scene_bodies
from armctl.envs.bullet.view import FAR, View, camera_pose
from armctl.errors import UsageError
from armctl.scene.body import Scene

TARGET_COLOUR = (0.95, 0.35, 0.1, 0.9)
FLOOR_COLOUR = (0.66, 0.7, 0.75, 1.0)
MARKER = 0.035
"""Radius of the target's ball, m."""
CLOSE = 0.02
"""What is nearer to a camera than this is not seen, m."""


class Camera:
    """Draws an arm, a floor, a scene and a target marker, as large as suits the arm.

    chain: the arm, its visual shapes. human: open a window (one per process) instead of rendering off screen.
    oriented: the target has axes. scene: bodies around the arm. Raises UsageError where a window is asked for and
    there is no display.
    """

    def __init__(self, chain: Chain, *, human: bool = False, oriented: bool = True, scene: Scene | None = None) -> None:
        if human:
            require_display()
        with quiet():
            self._client = p.connect(p.GUI if human else p.DIRECT)
        if self._client < 0:
            raise RuntimeError("PyBullet could not open another client: close environments you no longer use.")
        client = {"physicsClientId": self._client}
        if human:
            p.configureDebugVisualizer(p.COV_ENABLE_GUI, 0, **client)
        self._chain, self._scene, self._q = chain, scene, chain.home
        shapes = tuple(s for s in chain.shapes if s.role == "visual")
        self._arm = load_arm(replace(chain, shapes=shapes), self._client)
        self._add(p.GEOM_BOX, FLOOR_COLOUR, halfExtents=[1.5, 1.5, 0.005], position=(0, 0, -0.006))
        if scene is not None:
            scene_bodies(self._client, scene, visual=True)
        self._target = self._add(p.GEOM_SPHERE, TARGET_COLOUR, radius=MARKER)
        self._axes = [
            self._add(p.GEOM_BOX, (*(0.9 * np.eye(3)[i]), 1.0), halfExtents=MARKER * (0.15 + 1.5 * np.eye(3)[i]))
            for i in range(3 if oriented else 0)
        ]

    def _add(self, kind: int, colour: Sequence[float], position: Sequence[float] = (0, 0, 0), **size: Any) -> int:
        client = {"physicsClientId": self._client}
        shape = p.createVisualShape(kind, rgbaColor=colour, **size, **client)
        return p.createMultiBody(0, -1, shape, position, **client)

    def place(self, q: Numbers, target: Numbers) -> None:
        """Show the arm at q (n,) and the target at a pose (7,)."""
        client, self._q = {"physicsClientId": self._client}, np.asarray(q)
        for joint, position in enumerate(q):
            p.resetJointState(self._arm, joint, float(position), **client)
        position, quat = list(target[:3]), list(target[3:])
        p.resetBasePositionAndOrientation(self._target, position, quat, **client)
        for i, axis in enumerate(self._axes):
            tip = p.multiplyTransforms(position, quat, (1.5 * MARKER * np.eye(3)[i]).tolist(), [0, 0, 0, 1])
            p.resetBasePositionAndOrientation(axis, *tip, **client)

    def picture(self, view: View, *, shadow: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """What a view sees: rgb (height, width, 3) uint8 and depth (height, width, 1) float32, m along its axis."""
        client = {"physicsClientId": self._client}
        T = camera_pose(self._chain, view, self._q, self._scene)
        eye, down, forward = T[:3, 3], T[:3, 1], T[:3, 2]
        matrix = p.computeViewMatrix(eye.tolist(), (eye + forward).tolist(), (-down).tolist(), **client)
        lens = p.computeProjectionMatrixFOV(np.rad2deg(view.fov), view.width / view.height, CLOSE, FAR, **client)
        _, _, colours, depths, _ = p.getCameraImage(
            view.width,
            view.height,
            matrix,
            lens,
            lightDirection=(1.2, -1.6, 3.0),
            lightColor=(1, 1, 1),
            shadow=int(shadow),
            lightAmbientCoeff=0.55,
            lightDiffuseCoeff=0.5,
            lightSpecularCoeff=0.15,
            renderer=p.ER_TINY_RENDERER,
            flags=p.ER_NO_SEGMENTATION_MASK,
            **client,
        )
        shape = view.height, view.width
        rgb = np.reshape(np.asarray(colours, np.uint8), (*shape, 4))[..., :3].copy()
        depth = FAR * CLOSE / (FAR - (FAR - CLOSE) * np.reshape(np.asarray(depths, float), (*shape, 1)))
        return rgb, np.clip(depth, 0.0, FAR).astype(np.float32)

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
