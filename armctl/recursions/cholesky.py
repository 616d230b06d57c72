"""Inverse Cholesky factors of many small matrices, laid out batch last: LAPACK takes several times as long per arm."""

import jax
import jax.numpy as jnp

from armctl.typing import Array


def inverse_cholesky(S: Array) -> Array:
    """L^-1 of symmetric positive definite S = L L', by which what has covariance S becomes white.

    S: (..., n, n) -> (..., n, n), lower triangular.
    """
    n = S.shape[-1]
    S = jnp.moveaxis(S, (-2, -1), (0, 1))
    one = jnp.eye(n, dtype=S.dtype).reshape(n, n, *[1] * (S.ndim - 2))
    rows = jnp.arange(n).reshape(n, *[1] * (S.ndim - 1))

    def eliminate(table: Array, k: Array) -> tuple[Array, None]:
        row = jax.lax.dynamic_index_in_dim(table, k, 0, keepdims=True)
        column = jax.lax.dynamic_index_in_dim(table, k, 1, keepdims=True)
        scale = jax.lax.rsqrt(jax.lax.dynamic_index_in_dim(row, k, 1, keepdims=True))
        row, column = row * scale, column * scale
        return jnp.where(rows == k, row, table - (rows > k) * column * row), None

    table = jnp.concatenate([S, jnp.broadcast_to(one, S.shape)], axis=1)
    return jnp.moveaxis(jax.lax.scan(eliminate, table, jnp.arange(n))[0][:, n:], (0, 1), (-2, -1))


@jax.custom_vjp
def inverse(S: Array) -> Array:
    """S^-1 of symmetric positive definite S. (..., n, n) -> (..., n, n)."""
    factor = inverse_cholesky(S)
    return factor.swapaxes(-1, -2) @ factor


def _inverse_forward(S: Array) -> tuple[Array, Array]:
    out = inverse(S)
    return out, out


def _inverse_backward(out: Array, cotangent: Array) -> tuple[Array]:
    return (-out @ cotangent @ out,)


inverse.defvjp(_inverse_forward, _inverse_backward)
