"""Small symmetric positive definite systems, a batch at a time, by Gauss and Jordan's elimination.

The arrays are laid out batch last, so that a step of the elimination is a few contiguous loops over the batch: for so
few unknowns a call of LAPACK per arm costs several times as much. The derivative is implicit, one more solve.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from armctl.typing import Array


def solve(M: Float[Array, "*batch n n"], b: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """M^-1 b for symmetric positive definite M. M: (..., n, n), b: (..., n) -> (..., n), in units of b over M."""
    return jnp.moveaxis(solve_batch_last(jnp.moveaxis(M, (-2, -1), (0, 1)), jnp.moveaxis(b, -1, 0)), 0, -1)


@jax.custom_vjp
def solve_batch_last(M: Float[Array, "n n *batch"], b: Float[Array, "n *batch"]) -> Float[Array, "n *batch"]:
    """The same for arrays whose batch axes come last. M: (n, n, ...), b: (n, ...) -> (n, ...)."""
    n = len(b)
    table = jnp.concatenate([M, b[:, None]], axis=1)

    def eliminate(table: Array, k: Array) -> tuple[Array, None]:
        row = jax.lax.dynamic_index_in_dim(table, k, 0, keepdims=False)
        column = jax.lax.dynamic_index_in_dim(table, k, 1, keepdims=False)
        pivot = jax.lax.dynamic_index_in_dim(row, k, 0, keepdims=True)
        own = (jnp.arange(n) == k).reshape(n, *[1] * (b.ndim - 1))
        return table - ((column - own) / pivot)[:, None] * row[None], None

    return jax.lax.scan(eliminate, table, jnp.arange(n))[0][:, n]


def _forward(M: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
    x = solve_batch_last(M, b)
    return x, (M, x)


def _backward(residuals: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    M, x = residuals
    multiplier = solve_batch_last(M, cotangent)
    return -multiplier[:, None] * x[None], multiplier


solve_batch_last.defvjp(_forward, _backward)
