"""An arm among the bodies of a scene: what moves of it stops at them."""

from functools import partial
from typing import Any

from armctl import rigid
from armctl.chain import Chain
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.client import p
from armctl.envs.bullet.pose import Numbers
from armctl.envs.bullet.scene import apart_from_scene, scene_bodies
from armctl.errors import UsageError
from armctl.scene.body import Scene

ARM, BODIES = 2, 4
"""Bullet's collision groups of what moves of the arm, and of the scene."""
SWEEPS, RESIDUAL = 1000, 1e-12
"""Of the solver: friction of a contact under load never comes to rest at rounding error, where free arms are solved."""
SHALLOW = 1e-3
"""How deep in a body an arm may start, m: contact goes as deep."""


class ObstructedBody(ArmBody):
    """An ArmBody in a scene. Its links collide with the bodies, with friction 0.5 and no bounce, not with one another.

    The base collides with nothing. `met` is whether any link has pressed on a body in a step since it was last set to
    False.
    Raises UsageError where a body stands in the arm at its home configuration.
    """

    def __init__(self, chain: Chain, scene: Scene, **settings: Any) -> None:
        """settings: physics_dt, gravity, stops and substeps of ArmBody."""
        self.scene = scene
        super().__init__(chain, collisions=True, **settings)
        self.step = self._step

    def load(self, chain: Chain, gravity: Numbers = rigid.GRAVITY) -> None:
        """Empty the world and put this arm into it, at rest at its home configuration, and the scene."""
        super().load(chain, gravity)
        world = {"physicsClientId": self.client}
        p.setPhysicsEngineParameter(numSolverIterations=SWEEPS, solverResidualThreshold=RESIDUAL, **world)
        self._bodies = scene_bodies(self.client, self.scene)
        self._pairs = list(apart_from_scene(self, self.scene, self._bodies))
        for link in {link for link, _ in self._pairs}:
            p.setCollisionFilterGroupMask(self.id, link, ARM, BODIES, **world)
        for body in self._bodies:
            p.setCollisionFilterGroupMask(body, -1, BODIES, ARM, **world)
        self.met, self._contacts = False, partial(p.getContactPoints, bodyA=self.id, **world)

    def _step(self) -> None:
        p.stepSimulation(self.client)
        # of a point there are its distance, which is above zero where the next step would bring contact, and its force
        self.met = self.met or any(point[8] <= 0 or point[9] > 0 for point in self._contacts())

    def check_clear(self, what: str = "L") -> None:
        """Raises UsageError where the arm, as it is placed, stands in a body; what: how the sentence begins."""
        for link, k in self._pairs:
            gap = self.distance_to(self._bodies[k], link, 0.0)
            if gap < -SHALLOW:
                raise UsageError(
                    f"{what}ink {link} of {self.chain.name} would start {-1e3 * gap:.1f} mm deep in body "
                    f"{self.scene.bodies[k].name!r} of scene {self.scene.name!r}; start elsewhere."
                )

    def __reduce__(self) -> tuple[Any, ...]:
        """For copies, as of ArmBody."""
        made, given = super().__reduce__()[:2]
        if self.client < 0:
            return made, (ObstructedBody,), {"client": -1}
        chain, settings, state = given
        settings = {key: value for key, value in settings.items() if key != "collisions"}
        return _again, (chain, self.scene, settings, state)


def _again(chain: Chain, scene: Scene, settings: dict[str, Any], state: tuple[Any, Any]) -> ObstructedBody:
    body = ObstructedBody(chain, scene, **settings)
    body.place(*state)
    return body
