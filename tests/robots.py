"""Arms for tests: the shipped ones in a form that shares compilations, random chains with sliding joints, pinocchio."""

from dataclasses import replace

import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from armctl.arm import Arm, load_arm
from armctl.chain import Chain
from armctl.urdf import load_chain

ROBOTS = ("panda", "iiwa14", "ur5e", "xarm6", "gen3", "planar3")
SLIDING = ("revolute", "prismatic", "revolute", "prismatic", "revolute", "revolute")


def nameless(arm: Arm) -> Arm:
    """The arm without names and spheres: as an argument of a jitted function, it shares one compilation per n."""
    kinds = tuple("prismatic" if kind == "prismatic" else "revolute" for kind in arm.joint_types)
    names = tuple(f"j{i}" for i in range(arm.n))
    bare = {"sphere_link": (), "sphere_pairs": (), "sphere_center": np.zeros((0, 3)), "sphere_radius": np.zeros(0)}
    return replace(arm, name="arm", tip="tip", joint_names=names, joint_types=kinds, **bare)


def plain_arm(robot: str) -> Arm:
    """A shipped arm without its names; new arrays at every call, so that tests of both precisions do not share any."""
    return nameless(load_arm(robot))


def random_chain(kinds=SLIDING, seed: int = 0) -> Chain:
    """A chain of the given joint types with random frames and physical inertias."""
    rng = np.random.default_rng(seed)
    n, ones = len(kinds), np.ones(len(kinds))
    T, tip = np.tile(np.eye(4), (n, 1, 1)), np.eye(4)
    T[:, :3, :3], T[:, :3, 3] = Rotation.random(n, rng=rng).as_matrix(), 0.3 * rng.normal(size=(n, 3))
    tip[:3, :3], tip[:3, 3] = Rotation.random(rng=rng).as_matrix(), 0.1 * rng.normal(size=3)
    turn, moments = Rotation.random(n, rng=rng).as_matrix(), rng.uniform(0.02, 0.03, (n, 3))
    template = load_chain("planar3")
    return replace(
        template,
        name="random",
        joint_names=tuple(f"j{i}" for i in range(n)),
        joint_types=tuple(kinds),
        T_parent_joint=T,
        T_last_tip=tip,
        mass=rng.uniform(1, 3, n),
        com=0.1 * rng.normal(size=(n, 3)),
        inertia=turn @ (moments[:, :, None] * turn.swapaxes(1, 2)),
        shapes=(),
        **dict.fromkeys(("damping", "friction", "home"), 0 * ones),
        **dict.fromkeys(("upper", "velocity", "acceleration", "jerk", "effort"), 10 * ones),
        lower=-10 * ones,
    )


def is_physical(inertia: np.ndarray) -> bool:
    """Whether Bullet keeps the inertia (3, 3) kg m^2 as it is: positive definite, triangle inequality holds."""
    principal = np.linalg.eigvalsh(inertia)
    return bool(principal[0] > 0 and principal[2] <= principal[0] + principal[1])


def random_motion(chain: Chain, count: int, seed: int = 0):
    """Random q within the limits, qd, qdd and tau, (count, n) each."""
    rng = np.random.default_rng(seed)
    q = rng.uniform(np.maximum(chain.lower, -3.0), np.minimum(chain.upper, 3.0), (count, chain.n))
    qd, qdd = rng.normal(size=(2, count, chain.n))
    return q, qd, 3 * qdd, rng.normal(size=(count, chain.n))


class Pinocchio:
    """The chain's own URDF file in pinocchio, joints off the chain locked at zero."""

    def __init__(self, chain: Chain):
        model = pin.buildModelFromUrdf(chain.source)
        off = [model.getJointId(name) for name in model.names[1:] if name not in chain.joint_names]
        self.model = pin.buildReducedModel(model, off, pin.neutral(model))
        self.data = self.model.createData()
        self.tip = self.model.getFrameId(chain.tip)

    def __call__(self, q, qd, qdd, tau) -> dict[str, np.ndarray]:
        """Everything it says of one state, (n,) each."""
        model, data = self.model, self.data
        c = pin.integrate(model, pin.neutral(model), q)  # continuous joints are unit complex numbers there
        upper = np.triu(pin.crba(model, data, c))
        said = {
            "mass_matrix": upper + np.triu(upper, 1).T,
            "gravity": pin.rnea(model, data, c, 0 * q, 0 * q).copy(),
            "inverse": pin.rnea(model, data, c, qd, qdd).copy(),
            "forward": pin.aba(model, data, c, qd, tau).copy(),
            "jacobian": pin.computeFrameJacobian(model, data, c, self.tip, pin.LOCAL_WORLD_ALIGNED).copy(),
        }
        pin.framesForwardKinematics(model, data, c)
        return {**said, "tip": data.oMf[self.tip].homogeneous.copy()}


def worst(a, b) -> float:
    """Largest deviation, relative to the largest entry of b."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / np.abs(b).max())
