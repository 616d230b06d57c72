"""A reference: one goal trajectory on a uniform time grid, in joints and at the tip, with its derivatives."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from armctl import geometry, rigid
from armctl.chain import Chain, unwrapped
from armctl.errors import UsageError, warn

OVER = {"velocity": 1e-3, "acceleration": 1e-2, "jerk": 5e-2}  # that limits may be exceeded by without a word


@dataclass(frozen=True, eq=False)
class Reference:
    """A goal trajectory of K samples for an n-joint arm; every array is float64.

    name: label. dt: s. q, qd, qdd: (K, n) rad, rad/s, rad/s^2. pose: (K, 7) tip m + quaternion xyzw, sign-continuous.
    twist, accel: (K, 6) of the tip, world frame, linear then angular, m/s, rad/s and per second.
    meta: JSON-able facts (family, eta, certificate, seed, ...).
    """

    name: str
    dt: float
    q: np.ndarray
    qd: np.ndarray
    qdd: np.ndarray
    pose: np.ndarray
    twist: np.ndarray
    accel: np.ndarray
    meta: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_joints(
        cls,
        chain: Chain,
        dt: float,
        q: ArrayLike,
        qd: ArrayLike | None = None,
        qdd: ArrayLike | None = None,
        *,
        name: str = "reference",
        meta: dict[str, Any] | None = None,
    ) -> "Reference":
        """Reference of a joint trajectory. dt: s; q, qd, qdd: (K, n).

        Absent derivatives come from a quintic spline through q, whose jumps by a turn of joints that turn without end
        are taken out first.
        Raises UsageError if q does not fit the arm, has fewer than 2 samples or is not finite.
        """
        q = np.array(q, dtype=float)
        check_joints(chain, q, name)
        if qd is None or qdd is None:
            times = np.arange(len(q)) * dt
            q = unwrapped(chain, times, q)
            _, qd, qdd = sample_spline(interpolant(times, q), times)
        qd, qdd = np.array(qd, dtype=float), np.array(qdd, dtype=float)
        pose, twist, accel = tip_motion(chain, q, qd, qdd)
        return cls(name, float(dt), q, qd, qdd, pose, twist, accel, dict(meta or {}))

    @property
    def duration(self) -> float:
        """Time from the first to the last sample, s."""
        return (len(self.q) - 1) * self.dt

    @property
    def start(self) -> tuple[np.ndarray, np.ndarray]:
        """Where an arm that is to follow it begins: q (n,) rad and qd (n,) rad/s.

        On its first sample or, where meta has `start`, at rest there: of a goal without a way to it.
        """
        given = self.meta.get("start")
        return (self.q[0], self.qd[0]) if given is None else (np.asarray(given, float), np.zeros_like(self.qd[0]))

    def after_hold(self, samples: int) -> "Reference":
        """The motion after its first pose has been held at rest for so many samples."""
        return self._held(samples, 0)

    def before_hold(self, samples: int) -> "Reference":
        """The motion before its last pose is held at rest for so many samples."""
        return self._held(0, samples)

    def _held(self, before: int, after: int) -> "Reference":
        def all_of(x: np.ndarray, still: bool) -> np.ndarray:
            ends = 0 * x if still else x
            return np.concatenate([np.repeat(ends[:1], before, axis=0), x, np.repeat(ends[-1:], after, axis=0)])

        q, pose = all_of(self.q, still=False), all_of(self.pose, still=False)
        qd, qdd, twist, accel = (all_of(x, still=True) for x in (self.qd, self.qdd, self.twist, self.accel))
        return Reference(self.name, self.dt, q, qd, qdd, pose, twist, accel, self.meta)

    def resampled(self, chain: Chain, dt: float) -> "Reference":
        """The motion on a grid of dt s: quintic Hermite through q, qd, qdd; a last part shorter than dt is dropped."""
        if abs(dt - self.dt) < 1e-12:
            return self
        times = np.arange(int(self.duration / dt + 1e-6) + 1) * dt
        q, qd, qdd = _hermite(self, times)
        return Reference.from_joints(chain, dt, q, qd, qdd, name=self.name, meta=self.meta)


def interpolant(times: np.ndarray, q: np.ndarray) -> Any:
    """Interpolating spline, quintic where there are enough samples. times: (K,) s; q: (K, n) -> scipy BSpline."""
    from scipy.interpolate import make_interp_spline

    degree = min(5, len(times) - 1)
    return make_interp_spline(times, q, k=degree if degree % 2 else degree - 1 or 1)


def sample_spline(spline: Any, times: np.ndarray) -> tuple[np.ndarray, ...]:
    """Values and first two derivatives q, qd, qdd (M, n) of a scipy BSpline at times (M,) s."""
    orders = (spline.derivative(d)(times) if d <= spline.k else np.zeros_like(spline(times)) for d in range(3))
    return tuple(np.asarray(x) for x in orders)


def tip_motion(
    chain: Chain, q: np.ndarray, qd: np.ndarray, qdd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pose (K, 7), twist J qd (K, 6) and acceleration J qdd + J' qd (K, 6) of the tip for q, qd, qdd (K, n)."""
    tip, J, rate = rigid.jacobian_rate(chain, q, qd)
    pose = geometry.matrix_to_pose(tip)
    flips = np.cumprod(np.where(np.sum(pose[1:, 3:] * pose[:-1, 3:], axis=-1) < 0, -1.0, 1.0))
    pose[1:, 3:] *= flips[:, None]
    return pose, geometry.matvec(J, qd), geometry.matvec(J, qdd) + geometry.matvec(rate, qd)


def _hermite(reference: Reference, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Piecewise quintic with the reference's q, qd, qdd at its samples, evaluated at times (M,): q, qd, qdd (M, n)."""
    h = reference.dt
    k = np.clip((times / h).astype(int), 0, len(reference.q) - 2)
    u = (times / h - k)[:, None]
    q0, v0, a0 = reference.q[k], reference.qd[k] * h, reference.qdd[k] * h * h
    q1, v1, a1 = reference.q[k + 1], reference.qd[k + 1] * h, reference.qdd[k + 1] * h * h
    gap, slope, bend = q1 - q0 - v0 - a0 / 2, v1 - v0 - a0, a1 - a0
    c3 = 10 * gap - 4 * slope + bend / 2
    c4 = -15 * gap + 7 * slope - bend
    c5 = 6 * gap - 3 * slope + bend / 2
    q = q0 + u * (v0 + u * (a0 / 2 + u * (c3 + u * (c4 + u * c5))))
    qd = (v0 + u * (a0 + u * (3 * c3 + u * (4 * c4 + u * 5 * c5)))) / h
    qdd = (a0 + u * (6 * c3 + u * (12 * c4 + u * 20 * c5))) / h**2
    return q, qd, qdd


def check_joints(chain: Chain, q: np.ndarray, name: str) -> None:
    """Raise UsageError unless q is at least two finite samples of one value per joint of the arm."""
    if q.ndim != 2 or q.shape[1] != chain.n:
        raise UsageError(f"Reference '{name}' has shape {q.shape}; {chain.name} needs (samples, {chain.n} joints).")
    if len(q) < 2:
        raise UsageError(f"Reference '{name}' has {len(q)} sample; give at least 2.")
    if not np.isfinite(q).all():
        bad = int(np.flatnonzero(~np.isfinite(q).all(axis=1))[0])
        raise UsageError(f"Reference '{name}' is not finite at sample {bad}.")


def over_limits(reference: Reference, chain: Chain) -> str:
    """By how much a reference is over the velocity, acceleration and jerk of the joints, in a sentence; else empty."""
    jerk = np.diff(reference.qdd, axis=0) / reference.dt
    rates = zip(
        OVER, (reference.qd, reference.qdd, jerk), (chain.velocity, chain.acceleration, chain.jerk), strict=True
    )
    over = []
    for name, rate, limit in rates:
        share = np.abs(rate).max(axis=0) / limit
        joint = int(np.argmax(share))
        if share[joint] > 1 + OVER[name]:
            times = f"{share[joint]:.2f}" if share[joint] < 1.1 else f"{share[joint]:.1f}"
            over.append(f"{times} times the {name} limit of {chain.joint_names[joint]}")
    return f"Reference {reference.name!r} asks {' and '.join(over)}." if over else ""


def warn_of_limits(references: Iterable[Reference], chain: Chain) -> None:
    """Warn of references that are over the limits of the joints, once of each: no controller can follow them."""
    for text in filter(None, (over_limits(reference, chain) for reference in references)):
        warn(text)
