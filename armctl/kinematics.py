"""Forward kinematics and Jacobian of an Arm, batched over leading axes and differentiable."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float

from armctl.arm import Arm
from armctl.recursions import layout as lay
from armctl.typing import Array, Joint


def _poses(arm: Arm, q: Array) -> tuple[lay.Mat, lay.Vec]:
    """World rotation and origin of every link, joint-major: nested tuples of (n, ...)."""
    q = lay.promote(arm, q)
    batch, dtype = q.shape[:-1], q.dtype

    def step(carry: tuple[lay.Mat, lay.Vec], x: lay.Inputs) -> tuple[Any, Any]:
        R, p = carry
        R_link, p_link = lay.frame(x)
        p = lay.add(p, lay.mul(R, p_link))
        R = lay.matmul(R, R_link)
        return (R, p), (R, p)

    one, zero = jnp.ones(batch, dtype), jnp.zeros(batch, dtype)
    eye = ((one, zero, zero), (zero, one, zero), (zero, zero, one))
    _, poses = lay.scan(step, (eye, (zero, zero, zero)), lay.joint_inputs(arm, q))
    return poses


def _tip(arm: Arm, R: lay.Mat, p: lay.Vec) -> tuple[lay.Mat, lay.Vec]:
    """Tip rotation and position from the last link's, as tuples of batch-shaped arrays."""
    last_R = tuple(tuple(x[-1] for x in row) for row in R)
    last_p = tuple(x[-1] for x in p)
    R_tip = tuple(tuple(arm.R_last_tip[i, j] for j in range(3)) for i in range(3))
    p_tip = tuple(arm.p_last_tip[i] for i in range(3))
    return lay.matmul(last_R, R_tip), lay.add(last_p, lay.mul(last_R, p_tip))


def _homogeneous(R: lay.Mat, p: lay.Vec) -> Array:
    zero, one = jnp.zeros_like(p[0]), jnp.ones_like(p[0])
    rows = [jnp.stack([*R[i], p[i]], axis=-1) for i in range(3)]
    return jnp.stack([*rows, jnp.stack([zero, zero, zero, one], axis=-1)], axis=-2)


def forward_kinematics(arm: Arm, q: Joint) -> Float[Array, "*batch 4 4"]:
    """World pose of the tip. q: (..., n) rad -> T_world_tip (..., 4, 4)."""
    return _homogeneous(*_tip_pose_by_jacobian(arm, q))


def _tip_pose(arm: Arm, q: Array) -> tuple[lay.Mat, lay.Vec]:
    return _tip(arm, *_poses(arm, q))


_tip_pose_by_jacobian = jax.custom_jvp(_tip_pose)
LENGTHS = ("R_parent_link", "p_parent_link", "R_last_tip", "p_last_tip")


def _tip_pose_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    """The Jacobian times the joint rates: no derivative of the recursion, unless the arm's own lengths are wanted."""
    (arm, q), (d_arm, dq) = primals, tangents
    if any(not _is_zero(getattr(d_arm, name)) for name in LENGTHS) or _is_zero(dq):
        return jax.jvp(_tip_pose, primals, jax.tree.map(_materialize, tangents, is_leaf=_is_zero))
    links = _poses(arm, q)
    R, p = _tip(arm, *links)
    w, dp = (tuple(jnp.sum(x * lay.joint_major(dq), 0) for x in axes) for axes in _joint_twists(arm, links, p))
    return (R, p), (lay.cross_mat(w, R), dp)


_tip_pose_by_jacobian.defjvp(_tip_pose_jvp, symbolic_zeros=True)


def _is_zero(tangent: Any) -> bool:
    return isinstance(tangent, SymbolicZero)


def _materialize(tangent: Any) -> Array:
    return jnp.zeros(tangent.shape, tangent.dtype) if _is_zero(tangent) else tangent


def link_poses(arm: Arm, q: Joint) -> Float[Array, "*batch n 4 4"]:
    """World poses of the link frames. q: (..., n) rad -> T_world_link (..., n, 4, 4)."""
    return jnp.moveaxis(_homogeneous(*_poses(arm, q)), 0, -3)


def pose_and_jacobian(arm: Arm, q: Joint) -> tuple[Float[Array, "*batch 4 4"], Float[Array, "*batch 6 n"]]:
    """Tip pose and geometric Jacobian from one pass. q: (..., n) -> T_world_tip (..., 4, 4), J (..., 6, n).

    Jacobian rows are linear then angular, world frame, at the tip.
    """
    links = _poses(arm, q)
    R_tip, p_tip = _tip(arm, *links)
    angular, linear = _joint_twists(arm, links, p_tip)
    J = jnp.stack([lay.joint_minor(x) for x in (*linear, *angular)], axis=-2)
    return _homogeneous(R_tip, p_tip), J


def _joint_twists(arm: Arm, links: tuple[lay.Mat, lay.Vec], p_tip: lay.Vec) -> tuple[lay.Vec, lay.Vec]:
    """Angular and linear velocity of the tip per joint rate, world frame, as tuples of (n, ...)."""
    R, p = links
    z = tuple(row[2] for row in R)
    linear = lay.cross(z, tuple(t - x for t, x in zip(p_tip, p, strict=True)))
    flag = lay.prismatic_flag(arm, z[0])
    if flag is None:
        return z, linear
    return lay.scale(z, 1 - flag), lay.add(lay.scale(linear, 1 - flag), lay.scale(z, flag))


def jacobian(arm: Arm, q: Joint) -> Float[Array, "*batch 6 n"]:
    """Geometric Jacobian at the tip, world frame, rows linear then angular. q: (..., n) rad -> (..., 6, n)."""
    return pose_and_jacobian(arm, q)[1]
