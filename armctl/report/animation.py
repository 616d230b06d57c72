"""An animated comparison of recorded motions, rendered by PyBullet and written as GIF."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from armctl.chain import Chain
from armctl.envs.bullet.body import load_arm
from armctl.envs.bullet.client import p
from armctl.envs.bullet.scene import scene_bodies
from armctl.envs.bullet.view import least_hidden
from armctl.rigid import link_poses
from armctl.scene.body import Scene

SIZE = (460, 430)  # pixels of one panel's picture
STRIP = 92  # pixels of the error curve below it
MARGIN = (150, 150)  # pixels left free around arm and path
TITLE = 16  # pixels by which the scene is lower for the title
FIELD = 36  # degrees
PITCH = -16  # degrees, by which the camera looks down
FLOOR = np.linspace(-0.6, 0.6, 7)  # m, lines of the floor's grid
INK, MUTED, FRAME, BACK, SKY, GRID = (
    (27, 35, 48),
    (100, 112, 132),
    (222, 227, 235),
    (255, 255, 255),
    (243, 246, 250),
    (214, 221, 231),
)


@dataclass(frozen=True, eq=False)
class Clip:
    """One panel: a controller's recorded motion."""

    title: str
    colour: str
    """Hex colour of the trail."""
    q: np.ndarray
    """(T, n) rad."""
    position: np.ndarray
    """(T, 3) tip, m."""
    error: np.ndarray
    """(T,) mm."""


def animate(
    chain: Chain, reference: np.ndarray, clips: list[Clip], dt: float, frames: int = 36, scene: Scene | None = None
) -> bytes:
    """A looping GIF of the clips side by side, in real time, with the reference path and the error below.

    reference: (T, 3) tip positions, m. clips: one panel each, all of T samples. dt: sampling period, s. scene: what
    stands around the arm.
    """
    samples = np.unique(np.linspace(0, len(reference) - 1, frames).round().astype(int))
    camera = _Camera.around(chain, clips, reference, scene)
    top = 1.15 * max(float(clip.error.max()) for clip in clips) or 1.0
    with _Body(chain, scene) as body:
        pictures = [_frame(body, camera, reference, clips, int(k), dt, top) for k in samples]
    palette = pictures[len(pictures) // 2].quantize(128)
    images = [picture.quantize(palette=palette, dither=0) for picture in pictures]
    data = io.BytesIO()
    pause = round(1e3 * dt * (len(reference) - 1) / len(samples))
    images[0].save(
        data,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=[pause] * (len(images) - 1) + [900],
        loop=0,
        optimize=True,
    )
    return data.getvalue()


@dataclass(frozen=True, eq=False)
class _Camera:
    view: np.ndarray
    projection: np.ndarray

    @classmethod
    def around(cls, chain: Chain, clips: list[Clip], reference: np.ndarray, scene: Scene | None) -> "_Camera":
        """Look from the side on which the path spreads, as near as base, arm and path allow.

        A scene that hides the arm from there is looked at from where it hides little.
        """
        joints = [link_poses(chain, clip.q[:: max(1, len(clip.q) // 12)])[..., :3, 3].reshape(-1, 3) for clip in clips]
        points = np.concatenate([*joints, reference, [[0.0, 0.0, 0.0]]])
        heading = float(np.degrees(np.arctan2(*(reference.mean(axis=0)[1::-1]))) + 128)
        if scene is not None:
            way = np.array([-np.sin(np.radians(heading)), np.cos(np.radians(heading)), np.tan(np.radians(PITCH))])
            turned = least_hidden(scene, points, way / np.linalg.norm(way))
            heading = float(np.degrees(np.arctan2(-turned[0], turned[1])))
        target, distance = points.mean(axis=0), 3.0
        for _ in range(4):  # centre and fill the picture; perspective makes it a few rounds
            camera = cls.at(target, distance, heading)
            pixels = np.array(camera.pixels(points))
            low, high = pixels.min(axis=0), pixels.max(axis=0)
            view = camera.view.reshape(4, 4).T
            metres = 2 * distance * np.tan(np.radians(FIELD / 2)) / SIZE[1]
            shift = 0.5 * (low + high) - 0.5 * np.array(SIZE) - (0, TITLE)
            target = target + metres * (shift[0] * view[0, :3] - shift[1] * view[1, :3])
            distance *= float(max((high - low) / (np.array(SIZE) - MARGIN)))
        return cls.at(target, distance, heading)

    @classmethod
    def at(cls, target: np.ndarray, distance: float, heading: float) -> "_Camera":
        view = p.computeViewMatrixFromYawPitchRoll(target.tolist(), distance, heading, PITCH, 0, 2)
        projection = p.computeProjectionMatrixFOV(FIELD, SIZE[0] / SIZE[1], 0.05, 20)
        return cls(np.array(view), np.array(projection))

    def pixels(self, points: np.ndarray) -> list[tuple[float, float]]:
        matrix = self.projection.reshape(4, 4).T @ self.view.reshape(4, 4).T
        clip = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
        flat = clip[:, :2] / clip[:, 3:]
        return [(float((x + 1) / 2 * SIZE[0]), float((1 - y) / 2 * SIZE[1])) for x, y in flat]


class _Body:
    """The arm in a PyBullet client of its own, posed and photographed."""

    def __init__(self, chain: Chain, scene: Scene | None) -> None:
        self.chain, self.scene = chain, scene

    def __enter__(self) -> "_Body":
        self.client = p.connect(p.DIRECT)
        self.body = load_arm(self.chain, self.client)
        if self.scene is not None:
            scene_bodies(self.client, self.scene, visual=True)
        return self

    def __exit__(self, *_: object) -> None:
        p.disconnect(physicsClientId=self.client)

    def picture(self, q: np.ndarray, camera: _Camera) -> Any:
        """Photograph the arm at q on its floor, at twice the panel's size."""
        from PIL import Image, ImageDraw

        for joint, angle in enumerate(q):
            p.resetJointState(self.body, joint, float(angle), physicsClientId=self.client)
        width, height = 2 * SIZE[0], 2 * SIZE[1]
        _, _, rgba, _, mask = p.getCameraImage(
            width,
            height,
            camera.view.tolist(),
            camera.projection.tolist(),
            lightDirection=[1.5, -1.0, 3.0],
            shadow=0,
            lightAmbientCoeff=0.5,
            lightDiffuseCoeff=0.5,
            lightSpecularCoeff=0.1,
            renderer=p.ER_TINY_RENDERER,
            physicsClientId=self.client,
        )
        picture = Image.new("RGB", (width, height), SKY)
        draw = ImageDraw.Draw(picture)
        for x in FLOOR:
            for ends in ([(x, FLOOR[0], 0), (x, FLOOR[-1], 0)], [(FLOOR[0], x, 0), (FLOOR[-1], x, 0)]):
                draw.line(_double(camera, np.array(ends)), fill=GRID, width=2)
        arm = Image.fromarray(np.array(rgba, np.uint8).reshape(height, width, 4)[..., :3].copy())
        picture.paste(
            arm, (0, 0), Image.fromarray(np.where(np.array(mask).reshape(height, width) < 0, 0, 255).astype(np.uint8))
        )
        return picture


def _double(camera: _Camera, points: np.ndarray) -> list[tuple[float, float]]:
    return [(2 * x, 2 * y) for x, y in camera.pixels(points)]


def _frame(
    body: _Body, camera: _Camera, reference: np.ndarray, clips: list[Clip], k: int, dt: float, top: float
) -> Any:
    from PIL import Image

    width, height = SIZE
    picture = Image.new("RGB", (width * len(clips), height + STRIP), BACK)
    for column, clip in enumerate(clips):
        panel = Image.new("RGB", (width, height + STRIP), BACK)
        panel.paste(_smooth(body, camera, reference, clip, k), (0, 0))
        _strip(panel, clip, k, dt, top)
        picture.paste(panel, (column * width, 0))
    return picture


def _smooth(body: _Body, camera: _Camera, reference: np.ndarray, clip: Clip, k: int) -> Any:
    from PIL import ImageDraw

    large = body.picture(clip.q[k], camera)
    draw = ImageDraw.Draw(large)
    draw.line(_double(camera, reference), fill=(140, 151, 168), width=5, joint="curve")
    if k:
        draw.line(_double(camera, clip.position[: k + 1]), fill=clip.colour, width=6, joint="curve")
    ((x, y),) = _double(camera, reference[k : k + 1])
    draw.ellipse((x - 11, y - 11, x + 11, y + 11), outline=INK, width=3)
    ((x, y),) = _double(camera, clip.position[k : k + 1])
    draw.ellipse((x - 6, y - 6, x + 6, y + 6), fill=clip.colour)
    small = large.resize(SIZE)
    draw = ImageDraw.Draw(small)
    draw.text((18, 14), clip.title, fill=clip.colour, font=_font(19))
    return small


def _strip(panel: Any, clip: Clip, k: int, dt: float, top: float) -> None:
    from PIL import ImageDraw

    draw, (width, height) = ImageDraw.Draw(panel), SIZE
    left, right, low, high = 96, width - 18, height + STRIP - 18, height + 10
    draw.line((left, low, right, low), fill=FRAME, width=1)
    x = np.linspace(left, right, len(clip.error))
    y = low - (low - high) * np.sqrt(clip.error / top)
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    draw.line(points, fill=FRAME, width=2)
    if k:
        draw.line(points[: k + 1], fill=clip.colour, width=3)
    draw.text((18, high + 6), f"{clip.error[k]:.1f}", fill=INK, font=_font(26))
    draw.text((18, high + 38), "mm error", fill=MUTED, font=_font(12))
    draw.text((right, low + 2), f"{k * dt:.1f} s", fill=MUTED, font=_font(12), anchor="ra")


def _font(size: int) -> Any:
    from matplotlib import font_manager
    from PIL import ImageFont

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
