"""Gentle motions that exercise any arm in any control mode without leaving its limits."""

from dataclasses import dataclass

import numpy as np

from armctl import rigid
from armctl.audit.rollouts import Policy
from armctl.chain import Chain
from armctl.plant.servo import ServoConfig

REACH, SHARE_OF_RANGE, SHARE_OF_SPEED = 0.6, 0.4, 0.3
SLOWEST, STEP = 0.4, 0.07
"""Frequency of the first joint, and from joint to joint, Hz."""
TWIST = np.array([0.05, 0.05, 0.05, 0.1, 0.1, 0.1])


@dataclass(frozen=True)
class Swing:
    """Joints that swing from a posture into the wider side of their range and back, each at a frequency of its own.

    q0 (n,) rad, amplitude (n,) rad with a sign, rate (n,) rad/s.
    """

    q0: np.ndarray
    amplitude: np.ndarray
    rate: np.ndarray

    def __call__(self, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Joint positions, velocities and accelerations (n,) at time t, s."""
        a, w = self.amplitude / 2, self.rate
        return self.q0 + a * (1 - np.cos(w * t)), a * w * np.sin(w * t), a * w * w * np.cos(w * t)


def make_swing(chain: Chain) -> Swing:
    """The swing of an arm, from its home posture moved a little off its limits."""
    low, high = np.maximum(chain.lower, chain.home - 10), np.minimum(chain.upper, chain.home + 10)
    margin = 0.05 * (high - low)
    q0 = np.clip(chain.home, low + margin, high - margin)
    rate = 2 * np.pi * (SLOWEST + STEP * np.arange(chain.n))
    up, down = high - q0, q0 - low
    size = np.minimum(REACH, SHARE_OF_RANGE * np.maximum(up, down))
    size = np.minimum(size, 2 * SHARE_OF_SPEED * chain.velocity / rate)
    return Swing(q0, np.where(up >= down, size, -size), rate)


def policy(chain: Chain, config: ServoConfig, swing: Swing) -> Policy:
    """Commands that make the arm swing; in ee_twist a slow circling of the tip.

    Torques come from the inverse dynamics of the nominal arm at the state the policy is given, with feedback.
    """
    dt = config.control_dt

    def torque(k: int, q: np.ndarray, qd: np.ndarray) -> np.ndarray:
        q_ref, qd_ref, qdd_ref = swing(k * dt)
        wanted = qdd_ref + 100 * (q_ref - q) + 20 * (qd_ref - qd)
        return np.clip(rigid.inverse_dynamics(chain, q, qd, wanted), -chain.effort, chain.effort)

    return {
        "torque": torque,
        "velocity": lambda k, q, qd: swing(k * dt)[1],
        "position": lambda k, q, qd: swing((k + 1) * dt)[0] - swing(k * dt)[0],
        "ee_twist": lambda k, q, qd: TWIST * np.sin(2 * np.pi * SLOWEST * k * dt + np.arange(6)),
    }[config.control]
