"""Joint friction on a PyBullet arm, as the torque that it is in a physics step.

PyBullet has dry friction too, a motor that wants a joint to stand still, and where its solver arrives the two are one
(tests/envs/test_friction.py). But its sweeps stall in one of thirty scenarios with much friction and take ten times as
long where joints stick, and it has no viscous friction that is stable.
"""

import numpy as np
from scipy.linalg.lapack import dposv

from armctl.envs.bullet.body import ArmBody
from armctl.plant.effects.dry_friction import PATIENCE, SWEEPS


def friction_torque(
    body: ArmBody,
    q: np.ndarray,
    qd: np.ndarray,
    tau: np.ndarray,
    damping: np.ndarray | None,
    dry: np.ndarray | None,
) -> np.ndarray:
    """Torque (n,) N m of viscous and dry friction during a physics step, joint stops left aside.

    q, qd: (n,) at its beginning; tau: (n,) N m, what else acts; damping: (n,) N m s/rad; dry: most that dry friction
    holds, (n,) N m; None where there is none. It is -D qd+ + l / dt, where the velocity qd+ at the end of the step and
    the impulse l solve (M + dt D) qd+ = M qd + dt (tau - h) + l with |l| <= dt dry, and l at its bound, against the
    motion, unless the joint stands still.
    """
    dt = body.physics_dt
    A = body.mass_matrix(q)
    change = tau - body.inverse_dynamics(q, qd, np.zeros_like(q))
    if damping is not None:
        A.flat[:: len(q) + 1] += dt * damping
        change = change - damping * qd
    free = qd + dposv(A, dt * change)[1]
    after, impulse = (free, np.zeros_like(q)) if dry is None else bounded_stop(A, free, dt * dry)
    return impulse / dt if damping is None else impulse / dt - damping * after


def bounded_stop(A: np.ndarray, free: np.ndarray, bound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Velocities of joints that impulses of at most `bound` try to stop, A (qd - free) = l, and these impulses l.

    A: (n, n) kg m^2; free, bound: (n,) rad/s, N m s -> (n,) rad/s, (n,) N m s. The active set of
    armctl/twin/constraints.py: an impulse beyond a bound goes to it, one at a bound whose joint overshoots comes back,
    all at once, or where that goes round in circles the last of them alone.
    """
    one, fewest, patience = np.eye(len(free)), len(free) + 1, PATIENCE
    side = np.sign(free) * (np.abs(A.diagonal() * free) > bound)  # most joints move on, or stay
    for _ in range(SWEEPS * len(free)):
        slides = side * side
        stays = 1.0 - slides
        # rows of joints that slide: A (qd - free) = -side bound; of those that stay: qd = 0
        inner = A * (slides[:, None] * slides) + one * stays
        qd = slides * (free + dposv(inner, slides * (A.dot(stays * free) - side * bound))[1])
        impulse = A.dot(qd - free)
        new = side * (side * qd > 0) - stays * np.sign(impulse) * (np.abs(impulse) > bound)
        wrong = np.flatnonzero(new != side)
        if len(wrong) == 0:
            break
        patience = PATIENCE if len(wrong) < fewest else patience - 1
        fewest = min(fewest, len(wrong))
        moves = wrong if patience > 0 else wrong[-1:]
        side[moves] = new[moves]
    return qd, impulse
