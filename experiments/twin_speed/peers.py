"""The libraries that run.py times, each as a Peer: this one, frax, pinocchio, and MuJoCo and MJX from mujoco.py."""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import jax
import numpy as np

from armctl import dynamics, kinematics
from armctl.arm import Arm
from armctl.chain import Chain
from armctl.urdf.write import write_urdf
from experiments.twin_speed.mujoco import mjx_peer, mujoco_loop, mujoco_rollout
from experiments.twin_speed.peer import FD, FK, GRAVITY, ID, JAC, MASS, VJP, Peer, with_vjp


def armctl_peer(chain: Chain) -> Peer:
    """This library."""
    arm = Arm.from_chain(chain)
    forward = partial(dynamics.forward_dynamics, arm)
    functions: dict[str, Callable] = {
        FK: lambda q, qd, u: kinematics.forward_kinematics(arm, q),
        JAC: lambda q, qd, u: kinematics.jacobian(arm, q),
        ID: partial(dynamics.inverse_dynamics, arm),
        MASS: lambda q, qd, u: dynamics.mass_matrix(arm, q),
        FD: forward,
        VJP: with_vjp(forward),
    }
    return Peer("armctl", functions, jax=True)


def frax_peer(chain: Chain, folder: Path) -> Peer:
    """frax, batched by vmap as its documentation says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from frax.core.manipulator import Manipulator
    path = folder / "arm.urdf"
    path.write_text(write_urdf(chain))
    robot = Manipulator(str(path), ee_offset=chain.T_last_tip)
    up = np.array([0.0, 0.0, GRAVITY, 0.0, 0.0, 0.0])
    forward = jax.vmap(lambda q, qd, u: robot.forward_dynamics(q, qd, u, None))
    functions = {
        FK: jax.vmap(lambda q, qd, u: robot.ee_transform(q)),
        JAC: jax.vmap(lambda q, qd, u: robot.ee_jacobian(q)),
        ID: jax.vmap(lambda q, qd, u: robot.rnea(q, qd, u, up, None)),
        MASS: jax.vmap(lambda q, qd, u: robot.mass_matrix(q)),
        FD: forward,
        VJP: with_vjp(forward),
    }
    return Peer("frax", functions, jax=True)


def pinocchio_peers(chain: Chain, threads: int) -> list[Peer]:
    """pinocchio called in a Python loop over the batch, and its parallel calls where the wheel has them."""
    import pinocchio as pin

    model = pin.buildModelFromXML(write_urdf(chain))
    tip = pin.Frame("armctl_tip", model.njoints - 1, 0, pin.SE3(chain.T_last_tip), pin.FrameType.OP_FRAME)
    frame = model.addFrame(tip)
    data = model.createData()

    def pose(q):
        pin.forwardKinematics(model, data, q)
        return pin.updateFramePlacement(model, data, frame).homogeneous

    world = pin.LOCAL_WORLD_ALIGNED
    functions = {
        FK: lambda q, qd, u: [pose(x) for x in q],
        JAC: lambda q, qd, u: [pin.computeFrameJacobian(model, data, x, frame, world) for x in q],
        ID: lambda q, qd, u: [pin.rnea(model, data, *x) for x in zip(q, qd, u, strict=True)],
        MASS: lambda q, qd, u: [pin.crba(model, data, x) for x in q],
        FD: lambda q, qd, u: [pin.aba(model, data, *x) for x in zip(q, qd, u, strict=True)],
        VJP: lambda q, qd, u: [pin.computeABADerivatives(model, data, *x) for x in zip(q, qd, u, strict=True)],
    }

    def products(rows, q, qd, u):
        """Acceleration and its products with the three Jacobians, which pinocchio overwrites at the next state."""
        kept = []
        for x in zip(q, qd, u, strict=True):
            slopes = [slope.copy() for slope in pin.computeABADerivatives(model, data, *x)]
            kept.append((data.ddq.copy(), slopes[0], slopes[1], symmetric(slopes[2])))
        value, *slopes = (np.stack(x) for x in zip(*kept, strict=True))
        return value, *((value[:, None, :] @ slope)[:, 0] for slope in slopes)

    notes = {VJP: "computeABADerivatives: the three full Jacobians; its product with a cotangent is not timed"}
    peers = [Peer("pinocchio, Python loop", functions, notes=notes, comparable={VJP: products, MASS: symmetric})]
    if hasattr(pin, "abaInParallel"):
        pool = pin.ModelPool(model, threads)
        parallel = {
            ID: lambda q, qd, u: pin.rneaInParallel(threads, pool, q.T, qd.T, u.T).T,
            FD: lambda q, qd, u: pin.abaInParallel(threads, pool, q.T, qd.T, u.T).T,
        }
        peers.append(Peer("pinocchio, C++ on all threads", parallel))
    return peers


def symmetric(M, *_):
    """The whole of matrices (..., n, n) of which pinocchio fills the upper triangle."""
    upper = np.triu(np.asarray(M))
    return upper + np.triu(upper, 1).swapaxes(-1, -2)


def installed(chain: Chain, folder: Path, threads: int, mjx_batches: tuple[int, ...]) -> list[Peer]:
    """This library first, then whichever of the others is installed; the rest is named on stderr."""
    found = [armctl_peer(chain)]
    makers: dict[str, tuple[str, Callable]] = {
        "frax": ("frax", lambda: [frax_peer(chain, folder)]),
        "mujoco.mjx": ("mujoco-mjx", lambda: [mjx_peer(chain, mjx_batches)]),
        "pinocchio": ("pin", lambda: pinocchio_peers(chain, threads)),
        "mujoco": ("mujoco", lambda: [mujoco_loop(chain), mujoco_rollout(chain, threads)]),
    }
    for module, (package, make) in makers.items():
        if find_spec(module.split(".")[0]) is None or find_spec(module) is None:
            print(f"{module} is left out: pip install {package}", file=sys.stderr)
        else:
            found += make()
    return found
