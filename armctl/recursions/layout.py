"""The array layout of the fast dynamics: every scalar its own contiguous array, one `lax.scan` step per joint.

Public functions take (..., n); here the joint axis moves to the front and batch axes stay behind, so inside a scan step
3-vectors and 3x3 matrices are tuples of batch-shaped arrays and every operation is one contiguous SIMD loop. The scan
keeps XLA from fusing (and recomputing) across joints. This file is the only place where axes are moved.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from armctl.arm import Arm
from armctl.typing import Array

Vec = tuple[Any, ...]  # 3
Mat = tuple[Vec, ...]  # 3 rows
Inputs = dict[str, Any]  # of a scan: (n, ...) arrays or tuples of them


def joint_major(x: Array, core: int = 0) -> Any:
    """Move the joint axis to the front; 3-vectors and 3x3 matrices become tuples. x: (..., n, *core) -> (n, ...)."""
    x = jnp.moveaxis(jnp.asarray(x), -1 - core, 0)
    if core == 0:
        return x
    if core == 1:
        return tuple(x[..., i] for i in range(3))
    return tuple(tuple(x[..., i, j] for j in range(3)) for i in range(3))


def joint_minor(x: Array) -> Array:
    """Move the joint axis back. (n, ...) -> (..., n)."""
    return jnp.moveaxis(x, 0, -1)


def scan(step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any, reverse: bool = False) -> tuple[Any, Any]:
    """`lax.scan` over the joints."""
    return jax.lax.scan(step, carry, xs, reverse=reverse)


def add(a: Vec, b: Vec) -> Vec:
    """a + b."""
    return tuple(x + y for x, y in zip(a, b, strict=True))


def scale(a: Vec, s: Array) -> Vec:
    """s a."""
    return tuple(x * s for x in a)


def dot(a: Vec, b: Vec) -> Array:
    """a . b."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vec, b: Vec) -> Vec:
    """a x b."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def cross_z(a: Vec, s: Array) -> Vec:
    """a x (0, 0, s)."""
    return (a[1] * s, -a[0] * s, jnp.zeros_like(a[0] * s))


def mul(A: Mat, v: Vec) -> Vec:
    """A v."""
    return tuple(dot(row, v) for row in A)


def mul_t(A: Mat, v: Vec) -> Vec:
    """A' v."""
    return mul(transpose(A), v)


def transpose(A: Mat) -> Mat:
    """A'."""
    return tuple(zip(*A, strict=True))


def matmul(A: Mat, B: Mat) -> Mat:
    """A B."""
    Bt = transpose(B)
    return tuple(tuple(dot(row, col) for col in Bt) for row in A)


def madd(A: Mat, B: Mat) -> Mat:
    """A + B."""
    return tuple(add(a, b) for a, b in zip(A, B, strict=True))


def cross_mat(p: Vec, A: Mat) -> Mat:
    """[p]x A, column by column."""
    return transpose(tuple(cross(p, col) for col in transpose(A)))


def symmetric(six: Vec) -> Mat:
    """The matrix of an upper triangle."""
    xx, xy, xz, yy, yz, zz = six
    return ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))


def upper(A: Mat) -> Vec:
    """Upper triangle of a symmetric matrix, row by row."""
    return (*A[0], *A[1][1:], A[2][2])


def outer(a: Vec, b: Vec) -> Mat:
    """a b'."""
    return tuple(tuple(x * y for y in b) for x in a)


def wrench_to_parent(force: Vec, moment: Vec, R: Mat, p: Vec) -> tuple[Vec, Vec]:
    """A link's wrench about its origin, in the parent frame about the parent's. R, p: the link in the parent."""
    force = mul(R, force)
    return force, add(mul(R, moment), cross(p, force))


def promote(arm: Arm, x: Array) -> Array:
    """An input as an array of the type the computation runs in: that of the input and the arm's arrays together."""
    return jnp.asarray(x, jnp.result_type(x, arm.mass))


def joint_inputs(arm: Arm, q: Array) -> Inputs:
    """Scan inputs that place the link frames of q (..., n): constants, cosine and sine, slide of prismatic joints."""
    q = joint_major(q)
    xs = {"R0": joint_major(arm.R_parent_link, 2), "p0": joint_major(arm.p_parent_link, 1)}
    slide = prismatic_flag(arm, q)
    if slide is None:
        return {**xs, "c": jnp.cos(q), "s": jnp.sin(q)}
    return {**xs, "c": jnp.cos(q * (1 - slide)), "s": jnp.sin(q * (1 - slide)), "slide": q * slide, "flag": slide}


def prismatic_flag(arm: Arm, q: Array) -> Array | None:
    """(n, 1...) array of ones where a joint is prismatic; None for an arm of revolute joints only."""
    if "prismatic" not in arm.joint_types:
        return None
    flag = jnp.array([float(kind == "prismatic") for kind in arm.joint_types], q.dtype)
    return flag.reshape(-1, *([1] * (q.ndim - 1)))


def frame(x: Inputs) -> tuple[Mat, Vec]:
    """Rotation and origin of a link frame in its parent's: the joint angle mixes two columns of the constant part."""
    c, s = x["c"], x["s"]
    R = tuple((row[0] * c + row[1] * s, row[1] * c - row[0] * s, row[2]) for row in x["R0"])
    if "slide" not in x:
        return R, x["p0"]
    return R, tuple(p + row[2] * x["slide"] for p, row in zip(x["p0"], x["R0"], strict=True))


def zeros(batch: tuple[int, ...], dtype: DTypeLike) -> Vec:
    """The zero vector of a batch."""
    return (jnp.zeros(batch, dtype),) * 3


def opaque(f: Callable[..., Any]) -> Callable[..., Any]:
    """f as one operation to JAX's partial evaluation, which would trace the scans in it again at every level of a
    nested rollout; for functions of array pytrees. `vmap` and reverse derivatives are those of f."""
    whole = jax.custom_batching.custom_vmap(f)

    @whole.def_vmap
    def _(size: int, batched: Any, *args: Any) -> tuple[Any, Any]:
        out = jax.vmap(f, jax.tree.map(lambda b: 0 if b else None, tuple(batched)), axis_size=size)(*args)
        return out, jax.tree.map(lambda _: True, out)

    derivable = jax.custom_vjp(whole)  # one operation has no derivative that splits into known and unknown
    derivable.defvjp(lambda *args: jax.vjp(f, *args), lambda pull, cotangent: pull(cotangent))
    return derivable
