"""The bodies of a scene in a PyBullet world: fixed, seen and met, exact in shape."""

from collections.abc import Sequence
from typing import Any

from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.client import p
from armctl.envs.bullet.self_collision import REACH
from armctl.errors import UsageError
from armctl.scene.body import Body, Scene

OVERLAP = 5e-3
"""How deep a body of a scene may reach into the base of an arm, m: arms stand on tables, and shapes are rounded up."""
PLANE = (8.0, 8.0, 1e-3)
"""What is drawn of a half-space, m."""


def scene_bodies(client: int, scene: Scene, *, visual: bool = False) -> list[int]:
    """Put a scene into a world as static bodies; returns the id of each, in the order of the scene's bodies.

    visual: give them their looks too, which costs time and is of use to cameras only.
    """
    return [_body(client, body, visual) for body in scene.bodies]


def apart_from_scene(arm: ArmBody, scene: Scene, ids: Sequence[int]) -> dict[tuple[int, int], float]:
    """Distance at home, m, of every link that moves and every body of a scene (indices), none of which touch.

    ids: of the bodies in the arm's world. The arm is at home after it.
    Raises UsageError where a body stands in the arm at home.
    """
    arm.place(arm.chain.home)
    shaped = sorted({shape.link for shape in arm.chain.shapes if shape.role == "collision"})
    gaps = {(link, k): arm.distance_to(ids[k], link, REACH) for link in shaped for k in range(len(ids))}
    for (link, k), gap in gaps.items():
        if gap <= (-OVERLAP if link < 0 else 0.0):
            raise UsageError(
                f"Body {scene.bodies[k].name!r} of scene {scene.name!r} reaches {-1e3 * gap:.1f} mm into "
                f"{'the base' if link < 0 else f'link {link}'} of {arm.chain.name} at its home configuration; move it."
            )
    return {pair: gap for pair, gap in gaps.items() if pair[0] >= 0}


def _body(client: int, body: Body, visual: bool) -> int:
    world = {"physicsClientId": client}
    kind, solid, look = _shape(body)
    collision = p.createCollisionShape(kind, **solid, **world)
    seen = p.createVisualShape(**look, rgbaColor=body.rgba, **world) if visual else -1
    return p.createMultiBody(
        baseMass=0.0, baseCollisionShapeIndex=collision, baseVisualShapeIndex=seen,
        basePosition=body.position, baseOrientation=body.quaternion, **world,
    )  # fmt: skip


def _shape(body: Body) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Bullet's kind of a body, its size for collisions, and kind and size of its looks."""
    size = body.size
    match body.shape:
        case "box":
            half = {"halfExtents": [x / 2 for x in size]}
            return p.GEOM_BOX, half, {"shapeType": p.GEOM_BOX, **half}
        case "sphere":
            return p.GEOM_SPHERE, {"radius": size[0]}, {"shapeType": p.GEOM_SPHERE, "radius": size[0]}
        case "plane":
            look = {"halfExtents": [x / 2 for x in PLANE], "visualFramePosition": [0, 0, -PLANE[2] / 2]}
            return p.GEOM_PLANE, {"planeNormal": [0, 0, 1]}, {"shapeType": p.GEOM_BOX, **look}
        case _:
            kind, (radius, length) = p.GEOM_CYLINDER if body.shape == "cylinder" else p.GEOM_CAPSULE, size
            rod: dict[str, Any] = {"shapeType": kind, "radius": radius, "length": length}
            return kind, {"radius": radius, "height": length}, rod
