"""A picture of an arm's motions in its scene, for those who have no browser at hand."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from armctl import rigid, store
from armctl.chain import Chain
from armctl.envs.bullet.view import least_hidden
from armctl.errors import UsageError
from armctl.motion.reference import Reference
from armctl.plot_style import EDGE, INK, MUTED, PAPER, SERIES, figure_style
from armctl.report.solids import faces
from armctl.scene.body import Scene

SLOPE = 0.4
"""How much the view from aside looks down, as the tangent of the angle."""
PLACES = 20
"""Postures of a motion that must be in the picture."""
SHOWN = 8
"""Motions with postures of their own; of more the tips' ways alone are drawn."""


def draw_motions(chain: Chain, references: Sequence[Reference], scene: Scene | None, path: str | Path) -> Path:
    """Draw motions of an arm as a PNG: ways of the tip, postures at start and goal, bodies; from aside and from above.

    references: one colour each, start postures thin and goal postures thick. scene: None for free space. path: of the
    .png, which is replaced if it is there. Raises UsageError for no motion and for another kind of file.
    """
    path = Path(path)
    if not len(references):
        raise UsageError("There is no motion to draw; give at least one reference.")
    if path.suffix != ".png":
        raise UsageError(f"A picture of motions is a .png, not {path.name!r}.")
    with figure_style():
        from matplotlib.figure import Figure

        drawn, data = Figure(figsize=(11, 5.4), layout="constrained"), BytesIO()
        arms = [_joints(chain, one.q[:: max(1, len(one.q) // PLACES)]) for one in references]
        points = np.concatenate([arm.reshape(-1, 3) for arm in arms])
        for place, (title, axes) in enumerate(_views(points, scene).items()):
            panel = drawn.add_subplot(
                1, 2, place + 1, title=title, aspect="equal", xticks=[], yticks=[], frame_on=False
            )
            _draw(panel, chain, references, scene, points, axes)
        panel.plot([], [], "o", mec=MUTED, mfc=PAPER, label="start")
        panel.plot([], [], "o", color=MUTED, label="goal")
        drawn.legend(loc="outside lower center", ncols=2)
        name = "in free space" if scene is None else f"in the scene {scene.name}"
        count = "One motion" if len(references) == 1 else f"{len(references)} motions"
        drawn.suptitle(f"{count} of {chain.name} {name}", color=INK)
        drawn.savefig(data, format="png", dpi=130, facecolor="white")
    store.write_bytes(path, data.getvalue())
    return path


def _views(points: np.ndarray, scene: Scene | None) -> dict[str, np.ndarray]:
    """The views by their titles: right, up and away (3, 3), unit vectors."""
    away = np.array([*(-points[..., :2].mean(axis=0)), 0.0])
    away = away / max(float(np.linalg.norm(away)), 1e-9) if np.linalg.norm(away) > 1e-3 else np.array([-1.0, 0.0, 0.0])
    turned = np.array([away[0] - away[1], away[0] + away[1], -np.sqrt(2) * SLOPE])
    away = turned / np.linalg.norm(turned)
    away = away if scene is None else least_hidden(scene, points, away)
    right = np.cross(away, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    aside, above = np.stack([right, np.cross(right, away), away]), np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, -1]])
    return {"From aside": aside, "From above, x upwards": above}


def _draw(
    panel: Any,
    chain: Chain,
    references: Sequence[Reference],
    scene: Scene | None,
    points: np.ndarray,
    axes: np.ndarray,
) -> None:
    """One view; axes: right, up and away."""
    middle = float((points @ axes[2]).mean())
    if scene is not None:
        _bodies(panel, scene, points, axes, middle)
    for k, one in enumerate(references):
        colour, tip = SERIES[k % len(SERIES)], one.pose[:, :3] @ axes.T
        panel.plot(tip[:, 0], tip[:, 1], color=colour, lw=1.8, zorder=5)
        panel.plot(*tip[0, :2], "o", mec=colour, mfc=PAPER, ms=6, zorder=6)
        panel.plot(*tip[-1, :2], "o", color=colour, ms=6, zorder=6)
        if k < SHOWN:
            for q, ink, width in ((one.q[0], EDGE, 2.0), (one.q[-1], colour, 3.5)):
                arm = _joints(chain, q[None])[0] @ axes.T
                panel.plot(arm[:, 0], arm[:, 1], "-o", color=ink, lw=width, ms=0.9 * width, alpha=0.55, zorder=3)
    solid = [face for body in (() if scene is None else scene.bodies) if body.shape != "plane" for face in faces(body)]
    seen = np.concatenate([points, *solid]) @ axes.T
    low, high = (function(seen[:, :2], axis=0) for function in (np.min, np.max))
    room = 0.06 * float(np.max(high - low))
    panel.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room))
    panel.grid(visible=False)


def _bodies(panel: Any, scene: Scene, points: np.ndarray, axes: np.ndarray, middle: float) -> None:
    """The bodies of a scene, the farthest faces first; those before the arm are seen through."""
    from matplotlib.collections import PolyCollection

    extent = 1.5 * float(np.abs(points).max())
    shown = [(face @ axes.T, body.rgba[:3]) for body in scene.bodies for face in faces(body, extent)]
    shown.sort(key=lambda pair: -pair[0][:, 2].mean())
    for front in (False, True):
        some = [(face, colour) for face, colour in shown if (face[:, 2].mean() < middle) == front]
        colours = [colour for _, colour in some]
        panel.add_collection(
            PolyCollection(
                [face[:, :2] for face, _ in some], facecolors=colours, edgecolors=colours, linewidths=0.4,
                alpha=0.2 if front else 0.45, zorder=7 if front else 1,
            )
        )  # fmt: skip


def _joints(chain: Chain, q: np.ndarray) -> np.ndarray:
    """What an arm is drawn by at q (T, n): base, joints and tip, (T, n + 2, 3) m."""
    poses = rigid.link_poses(chain, q)
    tip = poses[:, -1] @ chain.T_last_tip
    return np.concatenate([np.zeros((len(q), 1, 3)), poses[..., :3, 3], tip[:, None, :3, 3]], axis=1)
