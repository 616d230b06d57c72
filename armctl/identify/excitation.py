"""Motions that make an arm show its parameters: band-limited, periodic, from rest to rest, within every limit.

q(t) = q0 + sum_l a_l (cos(l w t) - 1) + b_l sin(l w t) with w = 2 pi / T (Swevers et al. 1997); the coefficients are
such that velocity and acceleration vanish where a period begins.
"""

import numpy as np

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.errors import UsageError
from armctl.motion.free import is_free
from armctl.motion.sampling import random_configuration

HIGHEST = 1.5
"""Highest frequency, Hz."""
LONGEST = 600
"""Longest motion, s."""
CANDIDATES = 12
SHARE = {"velocity": 0.6, "acceleration": 0.6, "effort": 0.6}
"""Share of each limit that a motion of the nominal arm may use; the rest is for what is unknown."""
BOX_MARGIN = 0.1
"""Part of each joint's range kept from either limit."""
Motion = tuple[np.ndarray, np.ndarray, np.ndarray]


def excitation(chain: Chain, seconds: float, dt: float, seed: int = 0) -> Motion:
    """The liveliest of some random motions about home and other postures: q, qd, qdd (K+1, n) at 0, dt, ..., seconds.

    Within shares of the velocity, acceleration and effort limits of the nominal arm, inside the joint ranges, clear of
    itself and of the floor. Raises UsageError for a duration that is no whole number of steps or shorter than 1 s.
    """
    steps = round(seconds / dt) if 1 <= seconds <= LONGEST else 0
    if not steps or abs(steps * dt - seconds) > 1e-6:
        raise UsageError(f"A recording lasts {seconds:g} s; give 1 to {LONGEST} s, in whole steps of {dt} s.")
    rng = np.random.default_rng(seed)
    centres = [chain.home, *random_configuration(chain, rng, CANDIDATES - 1)]
    found = [_fitted(chain, _unit_motion(chain, rng, seconds, steps), centre) for centre in centres]
    return max(found, key=lambda motion: _liveliness(chain, motion))


def _liveliness(chain: Chain, motion: Motion) -> float:
    """Mean over joints of the logarithm of acceleration over its limit: no joint may sleep."""
    share = np.sqrt(np.mean(motion[2] ** 2, axis=0)) / chain.acceleration
    return float(np.mean(np.log(share + 1e-12)))


def _unit_motion(chain: Chain, rng: np.random.Generator, seconds: float, steps: int) -> Motion:
    """A random motion from 0 that is as wide as every joint's range, with its derivatives."""
    lower, upper = joint_box(chain, BOX_MARGIN)
    orders = np.arange(1, max(3, int(HIGHEST * seconds)) + 1)
    a, b = rng.normal(size=(2, len(orders), chain.n)) / orders[:, None]
    a -= orders[:, None] ** 2 * (orders**2 @ a) / np.sum(orders**4)  # no acceleration at the start
    b -= orders[:, None] * (orders @ b) / np.sum(orders**2)  # nor velocity
    rate = 2 * np.pi * orders / seconds
    phase = np.outer(np.arange(steps + 1) * seconds / steps, rate)
    cos, sin = np.cos(phase), np.sin(phase)
    motion = (cos - 1) @ a + sin @ b, (cos * rate) @ b - (sin * rate) @ a, -(cos * rate**2) @ a - (sin * rate**2) @ b
    size = (upper - lower) / np.ptp(motion[0], axis=0)
    return size * motion[0], size * motion[1], size * motion[2]


def _fitted(chain: Chain, motion: Motion, centre: np.ndarray) -> Motion:
    """Scale a motion joint by joint into velocity and acceleration, then as a whole into the rest, around a centre."""
    q, qd, qdd = motion
    lower, upper = joint_box(chain, BOX_MARGIN)
    use = np.abs(qd).max(axis=0) / (SHARE["velocity"] * chain.velocity)
    use = np.maximum(use, np.abs(qdd).max(axis=0) / (SHARE["acceleration"] * chain.acceleration))
    factor = 1 / np.maximum(use, 1.0)
    for _ in range(40):
        middle = (q.max(axis=0) + q.min(axis=0)) / 2 * factor
        half = np.ptp(q, axis=0) / 2 * factor
        begin = np.clip(centre, lower + half, upper - half) - middle
        found = begin + factor * q, factor * qd, factor * qdd
        if _allowed(chain, found):
            return found
        factor = 0.85 * factor
    return found


def _allowed(chain: Chain, motion: Motion) -> bool:
    torque = rigid.inverse_dynamics(chain, *motion)
    # an arm that can barely hold itself may use what holding the start takes
    room = np.maximum(SHARE["effort"] * chain.effort, 1.1 * np.abs(rigid.gravity(chain, motion[0][0])))
    return bool(np.all(np.abs(torque) <= room)) and bool(is_free(chain, motion[0]).all())
