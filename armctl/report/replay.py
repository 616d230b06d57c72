"""Episodes to look at: arm, reference and path in three dimensions, two controllers side by side, in the report."""

import base64
import json
from importlib.resources import files
from typing import Any

import numpy as np

from armctl import rigid
from armctl.bench.metrics import position_error
from armctl.bench.records import Track
from armctl.bench.summary import Row, column
from armctl.chain import Chain
from armctl.plot_style import SERIES
from armctl.report.looks import looks
from armctl.report.solids import faces
from armctl.report.theme import number, themed
from armctl.report.traces import charts
from armctl.scene.body import Scene

EPISODES, CONTROLLERS = 6, 6
"""How many of each; more would make the page heavy."""
FRAME = 0.04
"""Seconds between frames."""
CONTROLS = """<div class="bar"><select data-is="episode" aria-label="Episode"></select>
<button data-is="play">Play</button><input type="range" data-is="time" min="0" value="0" aria-label="Time">
<output data-is="clock"></output><select data-is="speed" aria-label="Speed"><option value="1">real time</option>
<option value="0.25">a quarter</option><option value="4">4 ×</option></select></div>"""
OVER_TIME = """<div class="grid together"></div>
<p class="note">{key}&ensp;Dashed: the truth. Shaded: two standard deviations as the controller states them. Both
controllers are drawn to one scale. Touch a plot to go there.</p>
<div class="grid"><div class="column"></div><div class="column"></div></div><div class="grid told"></div>"""
PANEL = '<div class="panel"><select aria-label="Controller"></select><canvas></canvas><p class="note"></p></div>'


def replay(
    summary: dict[str, Any],
    table: dict[str, list[Row]],
    tracks: dict[str, list[Track]],
    chain: Chain,
    scene: Scene | None = None,
) -> str:
    """The viewer with its data, of the subject's worst episodes and a typical one.

    table, tracks: controller -> its episodes, in the same order for all. scene: what stands around the arm.
    """
    names = _shown(summary)
    chosen = _chosen(table[names[0]])
    look, settle = looks(summary), summary["config"].get("settle", 0.0)
    solids = _solids(scene)
    around = [np.array(face) for solid in solids if not solid["flat"] for face in solid["faces"]]
    episodes = []
    for index in chosen:
        runs = {name: tracks[name][index] for name in names}
        episodes.append(_episode(chain, table, runs, index, around) | {"title": _title(table[names[0]][index])})
        for name, track in runs.items():
            drawn = charts(chain, table[name][index], track, settle)
            episodes[-1]["runs"][name] |= {"label": look[name].label, "colour": look[name].colour, "charts": drawn}
    data = {"points": chain.n + 2, "series": SERIES, "solids": solids, "episodes": episodes}
    script = "".join((files("armctl.report") / name).read_text(encoding="utf-8") for name in ("charts.js", "replay.js"))
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # nothing in it may end the script
    return (
        "<noscript><p class=note>The replay needs scripts, which are in this file.</p></noscript>"
        f'<div id="replay">{CONTROLS}<div class="grid">{PANEL}{PANEL}</div>{_over_time(chain)}</div>'
        f'<script type="application/json" id="replay-data">{text}</script><script>{script}</script>'
    )


def _over_time(chain: Chain) -> str:
    """Where the charts are to stand, with the key to their lines."""
    colours = [themed(SERIES[joint % len(SERIES)]) for joint in range(chain.n)]
    marks = "".join(f'<i style="background:{colour}"></i>{joint + 1} ' for joint, colour in enumerate(colours))
    return OVER_TIME.format(key=f'Joints or axes: <span class="joints">{marks}</span>')


def _shown(summary: dict[str, Any]) -> list[str]:
    """The subject, the best classical controller, then the others."""
    first = [summary["comparison"]["subject"], summary["comparison"]["best_classical"]]
    return list(dict.fromkeys([*filter(None, first), *summary["controllers"]]))[:CONTROLLERS]


def _chosen(rows: list[Row]) -> list[int]:
    """The subject's worst episodes, failed ones first, and its median one."""
    error = column(rows, "position_rmse_mm")
    order = sorted(range(len(rows)), key=lambda k: (not rows[k]["failure"], -error[k]))
    typical = order[len(order) // 2]
    return list(dict.fromkeys([*order[: EPISODES - 1], typical]))


def _title(row: Row) -> str:
    told = f"failed, {row['failure']}" if row["failure"] else f"{number(row['position_rmse_mm'])} mm"
    return f"{row['suite']}: {row['reference']}, {row['scenario']}, draw {int(row['draw'])} ({told})"


def _episode(
    chain: Chain, table: dict[str, list[Row]], runs: dict[str, Track], index: int, around: list[np.ndarray]
) -> dict[str, Any]:
    dt = next(iter(runs.values())).dt
    every = max(1, round(FRAME / dt))
    bodies = {name: _points(chain, track.q[::every]) for name, track in runs.items()}
    whole = max((track.reference[:, :3] for track in runs.values()), key=len)[::every]
    unit = max(np.abs(whole).max(), *(np.abs(body).max() for body in bodies.values())) / 32000
    return {
        "dt": every * dt,
        "unit": unit,
        "samples": len(whole),
        "stage": _stage(np.concatenate([whole, next(iter(bodies.values())).reshape(-1, 3), *around])),
        "reference": _packed(whole, unit),
        "runs": {
            name: {
                "frames": len(bodies[name]),
                "points": _packed(bodies[name], unit),
                "errors": [number(x) for x in position_error(track.pose, track.reference)[::every].round(4)],
                "failure": str(table[name][index]["failure"]),
            }
            for name, track in runs.items()
        },
    }


def _solids(scene: Scene | None) -> list[dict[str, Any]]:
    """The bodies of a scene as coloured faces, corners in m."""
    return [
        {
            "colour": "#" + "".join(f"{round(255 * part):02x}" for part in body.rgba[:3]),
            "flat": body.shape == "plane",
            "faces": [face.round(3).tolist() for face in faces(body)],
        }
        for body in (() if scene is None else scene.bodies)
    ]


def _points(chain: Chain, q: np.ndarray) -> np.ndarray:
    """What an arm is drawn by at q (T, n): base, joints and tip, (T, n + 2, 3) m."""
    poses = rigid.link_poses(chain, q)
    tip = poses[:, -1] @ chain.T_last_tip
    base = np.zeros((len(q), 1, 3))
    return np.concatenate([base, poses[..., :3, 3], tip[:, None, :3, 3]], axis=1)


def _packed(points: np.ndarray, unit: float) -> str:
    """Points (..., 3) m as 16-bit multiples of a unit, base64."""
    return base64.b64encode(np.round(points / unit).astype("<i2").tobytes()).decode()


def _stage(points: np.ndarray) -> dict[str, Any]:
    """What the camera looks at, m: the middle and the radius of a ball around points (K, 3)."""
    low, high = points.min(axis=0), points.max(axis=0)
    return {"centre": ((low + high) / 2).tolist(), "size": float(np.linalg.norm(high - low)) / 2}
