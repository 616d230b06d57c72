"""Joint velocities under bounded constraint impulses: PyBullet's motors and joint stops, solved exactly.

Bullet first moves the velocities by gravity and forces, then finds impulses l within bounds that bring the constrained
joints to the velocities wanted of them:

    qd+ = qd_free + M^-1 l,  lower <= l <= upper,  and l_i at a bound only where that is not enough.

This is a linear complementarity problem with bounds. Bullet solves it by Dantzig's method or by sweeps, here a
primal-dual active set finds the same solution.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from armctl.geometry import matvec
from armctl.typing import Array

SWEEPS = 3
"""Most active-set iterations per joint; it stops when nothing changes."""


def constrained_velocity(
    M: Float[Array, "*batch n n"],
    free: Float[Array, "*batch n"],
    wanted: Float[Array, "*batch n"],
    lower: Float[Array, "*#batch n"],
    upper: Float[Array, "*#batch n"],
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """Joint velocities after the constraints have acted, and their impulses.

    M: (..., n, n) kg m^2; free: (..., n) rad/s without constraints; wanted: (..., n) rad/s; lower, upper: (..., n)
    N m s, bounds of the impulses, equal (zero) where a joint is not constrained -> qd (..., n) rad/s, impulse (..., n)
    N m s. Differentiable, with the set of impulses at their bounds held fixed.
    """
    fixed = lower == upper
    fixed, lower, upper = (jnp.broadcast_to(x, free.shape) for x in (fixed, lower, upper))
    problem = (M, free, wanted, lower, upper)
    side = _active_set(jax.tree.map(jax.lax.stop_gradient, problem), fixed)
    return _with_bounds(problem, fixed, side)


def _active_set(problem: tuple[Array, ...], fixed: Array) -> Array:
    """Which impulses end at their lower (-1) or upper (1) bound, (..., n); 0 for those in between.

    An impulse beyond a bound goes to it, one at a bound whose joint overshoots comes back (Hintermueller, Ito,
    Kunisch 2002).
    """
    _, free, wanted, lower, upper = problem

    def sweep(state: tuple[Any, ...]) -> tuple[Any, ...]:
        count, side, _ = state
        qd, impulse = _with_bounds(problem, fixed, side)
        leaves = (impulse > upper).astype(side.dtype) - (impulse < lower)
        stays = side * (side * (qd - wanted) <= 0)
        new = jnp.where(fixed, 0, jnp.where(side == 0, leaves, stays))
        return count + 1, new, jnp.any(new != side)

    start = (0, jnp.zeros(free.shape, jnp.int32), True)
    return jax.lax.while_loop(lambda s: s[2] & (s[0] < SWEEPS * free.shape[-1]), sweep, start)[1]


def _with_bounds(problem: tuple[Array, ...], fixed: Array, side: Array) -> tuple[Array, Array]:
    """Velocities and impulses when impulses with side != 0 are at their bounds and the others reach what is wanted."""
    M, free, wanted, lower, upper = problem
    bound = jnp.where(side > 0, upper, lower)
    at_bound = fixed | (side != 0)
    change = jnp.where(at_bound, 0.0, wanted - free)
    rest = jnp.where(at_bound, bound - matvec(M, change), 0.0)
    both = at_bound[..., :, None] & at_bound[..., None, :]
    inner = jnp.where(both, M, jnp.eye(M.shape[-1], dtype=M.dtype))
    change = change + jnp.linalg.solve(inner, rest[..., None])[..., 0]
    qd = jnp.where(at_bound, free + change, wanted)
    return qd, jnp.where(at_bound, bound, matvec(M, change))
