"""Joint velocities under bounded constraint impulses: PyBullet's motors and joint stops, solved exactly.

Bullet first moves the velocities by gravity and forces, then finds impulses l within bounds that bring the constrained
joints to the velocities wanted of them:

    qd+ = qd_free + M^-1 l,  lower <= l <= upper,  and l_i at a bound only where that is not enough.

This is a linear complementarity problem with bounds. Bullet solves it by Dantzig's method or by sweeps, here a
primal-dual active set finds the same solution. Dry friction is such a constraint too, that wants joints to stand still.

The arrays are laid out batch last, as the elimination of recursions/elimination.py has them.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from armctl.plant.effects.dry_friction import PATIENCE, SWEEPS
from armctl.recursions.elimination import solve_batch_last
from armctl.typing import Array


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
    lower, upper = (jnp.broadcast_to(x, free.shape) for x in (lower, upper))
    problem = (jnp.moveaxis(M, (-2, -1), (0, 1)), *(jnp.moveaxis(x, -1, 0) for x in (free, wanted, lower, upper)))
    side = _active_set(jax.tree.map(jax.lax.stop_gradient, problem))
    return jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), _with_bounds(problem, side))


def _active_set(problem: tuple[Array, ...]) -> Array:
    """Which impulses end at their lower (-1) or upper (1) bound, (n, ...); 0 for those in between.

    An impulse beyond a bound goes to it, one at a bound whose joint overshoots comes back, all at once (Hintermueller,
    Ito, Kunisch 2002); where that goes round in circles, the last of them alone, which ends (Judice & Pires 1994).
    """
    M, free, wanted, lower, upper = problem
    fixed, n, batch = lower == upper, free.shape[0], free.shape[1:]
    joints = jnp.arange(n).reshape(n, *[1] * len(batch))

    def beyond(impulse: Array) -> Array:
        return (impulse > upper).astype(jnp.int32) - (impulse < lower)

    def sweep(state: tuple[Any, ...]) -> tuple[Any, ...]:
        count, side, fewest, patience, _ = state
        qd, impulse = _with_bounds(problem, side)
        stays = side * (side * (qd - wanted) <= 0)
        new = jnp.where(fixed, 0, jnp.where(side == 0, beyond(impulse), stays))
        wrong = new != side
        left = jnp.sum(wrong, axis=0)
        patience = jnp.where(left < fewest, PATIENCE, patience - 1)
        last = jnp.max(jnp.where(wrong, joints, -1), axis=0)
        moves = wrong & ((patience > 0) | (joints == last))
        return count + 1, jnp.where(moves, new, side), jnp.minimum(left, fewest), patience, jnp.any(wrong)

    alone = jnp.stack([M[i, i] for i in range(n)]) * (wanted - free)  # what each joint would need by itself
    first = jnp.where(fixed, 0, beyond(alone))
    start = (0, first, jnp.full(batch, n + 1), jnp.full(batch, PATIENCE), True)
    return jax.lax.while_loop(lambda s: s[-1] & (s[0] < SWEEPS * n), sweep, start)[1]


def _with_bounds(problem: tuple[Array, ...], side: Array) -> tuple[Array, Array]:
    """Velocities and impulses when impulses with side != 0 are at their bounds and the others reach what is wanted."""
    M, free, wanted, lower, upper = problem
    bound = jnp.where(side > 0, upper, lower)
    at_bound = (lower == upper) | (side != 0)
    change = jnp.where(at_bound, 0.0, wanted - free)
    rest = jnp.where(at_bound, bound - _times(M, change), 0.0)
    both = at_bound[:, None] & at_bound[None]
    eye = jnp.eye(len(M), dtype=M.dtype).reshape(*M.shape[:2], *[1] * (M.ndim - 2))
    change = change + solve_batch_last(jnp.where(both, M, eye), rest)
    qd = jnp.where(at_bound, free + change, wanted)
    return qd, jnp.where(at_bound, bound, _times(M, change))


def _times(M: Array, x: Array) -> Array:
    """(n, n, ...) times (n, ...)."""
    return sum((M[:, j] * x[j] for j in range(1, len(x))), start=M[:, 0] * x[0])
