"""One arm in one PyBullet client: load, set the state, step, read back. Nothing about control or tasks."""

import os
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from armctl import rigid
from armctl.chain import Chain
from armctl.envs.bullet.client import p, quiet
from armctl.envs.bullet.pose import IDENTITY, Numbers, compose, inverse, quat_rotate, same_side
from armctl.geometry import matrix_to_pose
from armctl.meshes import for_bullet
from armctl.plant.servo import TOP_SPEED
from armctl.urdf import write_urdf


class ArmBody:
    """A fixed-base arm in a physics client of its own, whose step is semi-implicit Euler on M qdd + h = tau.

    chain: the arm, with the mass, com and inertia the body shall have (see `true_chain`). physics_dt: step, s.
    gravity: (3,) m/s^2. collisions: load the collision shapes (they never push; see `distance`). stops: joint limits
    are hard stops. substeps: physics steps per call of `step`; more than 1 is for motors, torques need a call each.
    Damping, joint friction and the default motors of Bullet are off. Joints and links are numbered as in the chain.
    `close` may be called any number of times. `met` is for arms in a scene, see ObstructedBody.
    """

    met = False

    def __init__(
        self,
        chain: Chain,
        *,
        physics_dt: float = 0.002,
        gravity: Numbers = rigid.GRAVITY,
        collisions: bool = False,
        stops: bool = True,
        substeps: int = 1,
    ) -> None:
        self.physics_dt, self.substeps = physics_dt, substeps
        self._shape, self._stops = "collision" if collisions else None, stops
        self.joints = list(range(chain.n))
        self.client = p.connect(p.DIRECT)
        if self.client < 0:
            raise RuntimeError("PyBullet has no free physics client: close environments you no longer use.")
        # not __del__: of what lives to the end of the interpreter that is called when PyBullet is gone
        self._disconnect = weakref.finalize(self, _disconnect, self.client)
        # Calls that are made often pass everything by position: keywords cost PyBullet 0.3 us and more a call.
        self.step = partial(p.stepSimulation, self.client)
        self._set_state = partial(p.resetJointStatesMultiDof, physicsClientId=self.client)
        self.loads = 0
        self.load(chain, gravity)

    def load(self, chain: Chain, gravity: Numbers = rigid.GRAVITY) -> None:
        """Empty the world and put this arm into it, at rest at its home configuration."""
        client = {"physicsClientId": self.client}
        # one arm that touches nothing: the brute-force broadphase is the fastest
        p.resetSimulation(p.RESET_USE_SIMPLE_BROADPHASE, **client)
        steps = self.substeps
        p.setPhysicsEngineParameter(
            fixedTimeStep=self.physics_dt * steps, numSubSteps=steps if steps > 1 else 0, **client
        )
        # Sweeps of the solver until joint stops are met to rounding error: with Bullet's default of 50 they give way by
        # 1e-3 rad when several act at once, and its direct solver forgets how lower and upper stops act on one another.
        # Where no stop acts this costs nothing.
        p.setPhysicsEngineParameter(numSolverIterations=10000, solverResidualThreshold=1e-30, **client)
        p.setGravity(*gravity, **client)
        loaded = load_arm(_with(chain, self._shape, self._stops), self.client)
        self.chain, self.id, self.loads = chain, loaded, self.loads + 1
        self._gravity, self._analysed = gravity, self._can_be_analysed()
        self._last_link = partial(p.getLinkState, self.id, chain.n - 1, 0, 1, self.client)  # from fresh kinematics
        # of each joint: position, velocity, reaction forces and motor torque
        self.joint_states = partial(p.getJointStates, self.id, self.joints, self.client)
        self._still = [0.0] * chain.n
        self._torque_control = partial(p.setJointMotorControlArray, self.id, self.joints, p.TORQUE_CONTROL)
        for link in range(-1, chain.n):
            off = {"linearDamping": 0, "angularDamping": 0, "jointDamping": 0, "maxJointVelocity": TOP_SPEED}
            if self._shape is None:  # links without shapes are still boxes of this size to the broadphase
                off["collisionMargin"] = 0
            p.changeDynamics(self.id, link, **off, **client)
            p.setCollisionFilterGroupMask(self.id, link, 0, 0, **client)
        self.reset(chain.home, np.zeros(chain.n))
        # Bullet knows a link's centre of mass to double precision, but the frame of the URDF only to single.
        tip = matrix_to_pose(rigid.forward_kinematics(chain, chain.home)).tolist()
        com, turn = self._last_link()[:2]
        self._com_tip = compose(*inverse(com, turn), tip[:3], tip[3:])

    def reset(self, q: Numbers, qd: Numbers) -> None:
        """Set the joint state, q (n,) rad, qd (n,) rad/s, and switch all motors off."""
        self.place(q, qd)
        off = {"forces": [0.0] * len(self.joints), "physicsClientId": self.client}
        p.setJointMotorControlArray(self.id, self.joints, p.VELOCITY_CONTROL, **off)

    def place(self, q: Numbers, qd: Numbers | None = None) -> None:
        """Set the joint state, q (n) rad and, where it shall change, qd (n) rad/s; the motors stay as they are."""
        rates = {} if qd is None else {"targetVelocities": [[x] for x in qd]}
        self._set_state(self.id, self.joints, [[x] for x in q], **rates)

    def state(self) -> tuple[np.ndarray, np.ndarray]:
        """True joint state: q (n,) rad, qd (n,) rad/s."""
        q, qd, _, _ = zip(*self.joint_states())  # noqa: B905 (strict costs a tenth of the reading)
        return np.array(q), np.array(qd)

    def set_torque(self, forces: list[float]) -> None:
        """Joint torques (n) of the next step, N m; they last one step."""
        self._torque_control(forces, forces, forces, forces, forces, self.client)  # of which Bullet reads one

    def apply_wrench(self, force: Sequence[float], moment: Sequence[float]) -> None:
        """Force (3,) N and moment (3,) N m on the tip during the next step, world frame."""
        link, client = self.joints[-1], self.client
        p.applyExternalForce(self.id, link, force, self.tip()[0], p.WORLD_FRAME, physicsClientId=client)
        p.applyExternalTorque(self.id, link, moment, p.WORLD_FRAME, physicsClientId=client)

    def tip(self, near: Sequence[float] = IDENTITY) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Pose of the tip: position (3) m and quaternion xyzw (4), as plain tuples (fast).

        Of the two signs of the quaternion the one nearer to the quaternion `near`: w >= 0 unless told otherwise.
        """
        state, (offset, turn) = self._last_link(), self._com_tip
        position, quat = compose(state[0], state[1], offset, turn)
        return position, same_side(quat, near)

    def _can_be_analysed(self) -> bool:
        """Whether PyBullet computes inertia and torques of this body.

        It refuses where a heavy link's tensor, turned into the link's axes, is no longer symmetric to the last bit,
        but moves such a body rightly.
        """
        with quiet():
            try:
                p.calculateMassMatrix(self.id, self.chain.home.tolist(), physicsClientId=self.client)
            except SystemError:
                return False
        return True

    def mass_and_gravity(self, q: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Joint-space inertia (n, n) kg m^2 and gravity torque (n,) N m of this body at q (n,) rad."""
        if not self._analysed:
            return rigid.mass_and_gravity(self.chain, np.asarray(q, dtype=float), tuple(self._gravity))
        q, still = np.asarray(q, dtype=float).tolist(), self._still
        g = p.calculateInverseDynamics(self.id, q, still, still, physicsClientId=self.client)
        return self.mass_matrix(q), np.array(g)

    def mass_matrix(self, q: Numbers) -> np.ndarray:
        """Joint-space inertia (n, n) kg m^2 of this body at q (n) rad."""
        if not self._analysed:
            return rigid.mass_matrix(self.chain, np.asarray(q))
        return np.array(p.calculateMassMatrix(self.id, list(q), physicsClientId=self.client))

    def inverse_dynamics(self, q: np.ndarray, qd: np.ndarray, qdd: np.ndarray) -> np.ndarray:
        """Joint torques (..., n) N m for motions of this body: q (..., n) rad, qd rad/s, qdd rad/s^2."""
        if not self._analysed:
            return rigid.inverse_dynamics(self.chain, q, qd, qdd, self._gravity)
        rows = (x.reshape(-1, x.shape[-1]).tolist() for x in (q, qd, qdd))
        torques = [p.calculateInverseDynamics(self.id, *row, 0, self.client) for row in zip(*rows, strict=True)]
        return np.array(torques).reshape(q.shape)

    def jacobian(self, q: np.ndarray) -> np.ndarray:
        """Geometric Jacobian (6, n) at the tip at q (n,) rad, rows linear then angular, world frame."""
        if not self._analysed:
            return rigid.jacobian(self.chain, q)
        still, link = [0.0] * len(self.joints), self.joints[-1]
        # whatever its manual says, PyBullet takes the point from the joint, along the principal axes of inertia
        x, y, z, w = p.getDynamicsInfo(self.id, link, physicsClientId=self.client)[4]
        offset = list(quat_rotate((-x, -y, -z, w), self.chain.T_last_tip[:3, 3].tolist()))
        parts = p.calculateJacobian(self.id, link, offset, q.tolist(), still, still, physicsClientId=self.client)
        return np.concatenate([np.array(part) for part in parts])

    def distance(self, link_a: int, link_b: int, reach: float) -> float:
        """Distance between the collision shapes of two links, m (negative: depth); `reach` if farther than that."""
        shapes = -1, -1, None, None, None, None  # of the links
        points = p.getClosestPoints(self.id, self.id, reach, link_a, link_b, *shapes, self.client)
        return min([point[8] for point in points], default=reach)

    def distance_to(self, body: int, link: int, reach: float) -> float:
        """Distance of a link (-1 = base) to another body of this world, m (negative: depth); `reach` if farther."""
        points = p.getClosestPoints(self.id, body, reach, link, -1, -1, -1, None, None, None, None, self.client)
        return min([point[8] for point in points], default=reach)

    def __reduce__(self) -> tuple[Any, ...]:
        """For copies: a body in a world of its own, in the same state, with its motors off."""
        if self.client < 0:
            return ArmBody.__new__, (ArmBody,), {"client": -1}
        settings = {
            "physics_dt": self.physics_dt,
            "gravity": self._gravity,
            "collisions": self._shape == "collision",
            "stops": self._stops,
            "substeps": self.substeps,
        }
        return _again, (self.chain, settings, self.state())

    def close(self) -> None:
        """Disconnect the physics client."""
        if self.client >= 0:
            self._disconnect()
            self.client = -1


def _disconnect(client: int) -> None:
    if p.isConnected(client):
        p.disconnect(client)


def _again(chain: Chain, settings: dict[str, Any], state: tuple[np.ndarray, np.ndarray]) -> ArmBody:
    body = ArmBody(chain, **settings)
    body.place(*state)
    return body


def _with(chain: Chain, role: str | None, stops: bool) -> Chain:
    """The chain with only the shapes of one role, and with or without joint limits."""
    types = chain.joint_types if stops else tuple(t.replace("revolute", "continuous") for t in chain.joint_types)
    return replace(chain, joint_types=types, shapes=tuple(s for s in chain.shapes if s.role == role))


def load_arm(chain: Chain, client: int) -> int:
    """Load a chain with its shapes as a fixed-base body; returns its id."""
    readable = [replace(s, filename=for_bullet(s.filename)) if s.filename else s for s in chain.shapes]
    return load_text(write_urdf(replace(chain, shapes=tuple(readable))), client)


def load_text(urdf: str, client: int) -> int:
    """Load URDF text as a fixed-base body; returns its id. PyBullet reads files only, so one lives for a moment."""
    fd, path = tempfile.mkstemp(suffix=".urdf")
    try:
        with os.fdopen(fd, "w") as file:
            file.write(urdf)
        with quiet():
            # Cylinders as they are; by default they are prisms of 32 sides, larger by a margin and slower to measure.
            flags = p.URDF_USE_INERTIA_FROM_FILE | p.URDF_USE_IMPLICIT_CYLINDER
            return p.loadURDF(path, useFixedBase=True, flags=flags, physicsClientId=client)
    finally:
        os.unlink(path)
