"""The bodies of a scene in a PyBullet world: fixed, seen and met, exact in shape."""

from typing import Any

from armctl.envs.bullet.client import p
from armctl.scene.body import Body, Scene

PLANE = (8.0, 8.0, 1e-3)  # m; what is drawn of a half-space


def scene_bodies(client: int, scene: Scene, *, visual: bool = False) -> list[int]:
    """Put a scene into a world as static bodies; returns the id of each, in the order of the scene's bodies.

    visual: give them their looks too, which costs time and is of use to cameras only.
    """
    return [_body(client, body, visual) for body in scene.bodies]


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
            look = {"shapeType": kind, "radius": radius, "length": length}
            return kind, {"radius": radius, "height": length}, look
