"""Where pictures are taken from, how large they are and what they cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from math import inf, isfinite, pi, tan
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.errors import UsageError
from armctl.geometry import pose_to_matrix, rpy_matrix
from armctl.scene.body import Scene
from armctl.scene.distance import signed_distance

PLACES = ("front", "wrist")
FAR = 20.0
"""Depth of what is farther, and of the sky, m."""
LARGEST = 4096
"""Pixels along a side."""
AHEAD = (-0.73, 0.57, -0.375)
"""The way the front camera looks: back at the arm from in front of it, half aside and a little above."""
ASIDE = np.deg2rad((0.0, -30.0, 30.0, -60.0, 60.0, -90.0, 90.0, -120.0, 120.0, 180.0))
"""How far the front camera goes round an arm in a scene to see more of it."""
WORTH = 0.02
"""What must come in sight for each step of `ASIDE` that it goes, as a part of all there is to see."""
FRAME = 0.92
"""Part of the picture's width and height that an arm and its targets may take."""
WRIST = (0.0, -0.09, -0.08)
"""Where the wrist camera sits in the tip's frame, m: aside of the tool and behind its end, looking along z."""


@dataclass(frozen=True)
class View:
    """A camera.

    at: "front", far enough for all the arm's reach, and in a scene from where most of that is seen; "wrist", riding on
    the tip and looking along its z axis; or its pose, m + xyzw in the base frame, z forward, x to the right, y down.
    width, height: pixels. fov: vertical, rad.
    """

    at: str | Sequence[float] = "front"
    width: int = 64
    height: int = 64
    fov: float = 1.0

    def space(self) -> Dict:
        """Space of its pictures: `rgb` (height, width, 3) uint8 and `depth` (height, width, 1) float32, m."""
        return Dict(
            rgb=Box(0, 255, (self.height, self.width, 3), np.uint8),
            depth=Box(0.0, FAR, (self.height, self.width, 1), np.float32),
        )


def as_view(camera: View | str | Mapping[str, Any] | Sequence[float]) -> View:
    """A view from its place's name, its pose (7,) or a dictionary of fields. Raises UsageError for anything else."""
    view = camera
    if isinstance(camera, Mapping):
        names = [field.name for field in fields(View)]
        if unknown := set(camera) - set(names):
            raise UsageError(f"A camera has no {sorted(unknown)[0]!r}; it has {', '.join(names)}.")
        view = View(**camera)
    elif not isinstance(camera, View):
        view = View(at=camera)
    assert isinstance(view, View)
    return View(_place(view.at), _pixels("width", view.width), _pixels("height", view.height), _angle(view.fov))


def _place(at: Any) -> str | tuple[float, ...]:
    if isinstance(at, str) and at in PLACES:
        return at
    try:
        pose = np.asarray(at, float)
    except (TypeError, ValueError):
        pose = np.empty(0)
    if pose.shape != (7,) or not np.isfinite(pose).all() or abs(np.linalg.norm(pose[3:]) - 1) > 1e-2:
        raise UsageError(f"camera is {at!r}; choose {' or '.join(PLACES)}, or give its pose: x, y, z, unit quaternion.")
    return (*pose[:3].tolist(), *(pose[3:] / np.linalg.norm(pose[3:])).tolist())


def _pixels(name: str, count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= LARGEST:
        raise UsageError(f"The camera's {name} is {count!r}; give a whole number of pixels, 1 to {LARGEST}.")
    return int(count)


def _angle(fov: Any) -> float:
    if not isinstance(fov, int | float) or not isfinite(fov) or not 0 < fov < pi:
        raise UsageError(f"The camera's fov is {fov!r}; give its vertical angle of view in rad, above 0 and below pi.")
    return float(fov)


def camera_pose(chain: Chain, view: View, q: np.ndarray, scene: Scene | None = None) -> np.ndarray:
    """Pose of a view's camera with the arm at q (n,) rad: (4, 4), z forward, x to the right, y down."""
    if view.at == "front":
        return _front(chain, view.width / view.height, view.fov, scene)
    if view.at == "wrist":
        T_tip_camera = np.eye(4)
        T_tip_camera[:3, 3] = WRIST
        return rigid.forward_kinematics(chain, q) @ T_tip_camera
    return pose_to_matrix(np.asarray(view.at))


@lru_cache(maxsize=64)
def _front(chain: Chain, aspect: float, fov: float, scene: Scene | None) -> np.ndarray:
    """As near as may be with everything in the picture that the arm gets to, its tip and so its targets included.

    Along each side of the picture a camera at c with half its angle's tangent t sees a point while
    |x - c_x| <= t (z - c_z). That holds for all of them up to the largest c_z of the two sides' smaller one.
    """
    forward = _ahead(chain, scene)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward], axis=-1)
    seen = _swept(chain) @ R
    depth, middle = inf, []
    for side, scale in ((0, aspect), (1, 1.0)):
        t = FRAME * scale * tan(fov / 2)
        low, high = np.max(seen[:, side] - t * seen[:, 2]), np.min(seen[:, side] + t * seen[:, 2])
        depth = min(depth, (high - low) / (2 * t))
        middle.append((low + high) / 2)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, R @ [*middle, depth]
    return T


def _ahead(chain: Chain, scene: Scene | None) -> np.ndarray:
    """The way (3,) the front camera looks."""
    ahead = np.array(AHEAD) / np.linalg.norm(AHEAD)
    return ahead if scene is None else least_hidden(scene, _swept(chain)[::50], ahead)


def least_hidden(scene: Scene, points: np.ndarray, way: np.ndarray) -> np.ndarray:
    """A way (3,) to look on which a scene hides few points (P, 3) m, of a camera that is turned by ASIDE at most.

    way: unit vector that is kept unless another is worth it.
    """
    bodies = tuple(body for body in scene.bodies if body.shape != "plane")
    if not bodies:
        return way
    seen, reach = Scene("seen", bodies), float(np.linalg.norm(points, axis=-1).max())
    ways = [rpy_matrix(np.array([0.0, 0.0, turn])) @ way for turn in ASIDE]
    hidden = [_hidden(seen, points, -one, reach) for one in ways]
    return ways[int(np.argmin(np.array(hidden) + WORTH * np.arange(len(ways))))]


def _hidden(scene: Scene, points: np.ndarray, way: np.ndarray, reach: float) -> float:
    """Share of points (P, 3) m in front of which a body stands on the way (3,) to the camera."""
    along = np.linspace(0.0, 2.0 * reach, 81)[:, None, None] * way
    return float((signed_distance(scene, points + along) < 0).any(axis=(0, 2)).mean())


def _swept(chain: Chain) -> np.ndarray:
    """Points (P, 3) m that the arm's base, joints and tip get to over the floor."""
    q = np.random.default_rng(0).uniform(*joint_box(chain, 0.0), (2000, chain.n))
    poses = rigid.link_poses(chain, q)
    points = np.concatenate([poses, poses[:, -1:] @ chain.T_last_tip], axis=1)[..., :3, 3]
    over = (points[..., 2] >= min(0.0, float(points[..., 0, 2].min()))).all(axis=-1)
    points = points[over] if over.any() else points
    return np.concatenate([np.zeros((1, 3)), points.reshape(-1, 3)])
