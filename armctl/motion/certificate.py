"""Certificates: an independent PyBullet checker measures the margin of every constraint along a reference.

It shares no geometry or dynamics with what proposes motions: exact shape distances (getClosestPoints), by which contact
is ruled out between samples too, Bullet's inverse dynamics, and derivatives of a quintic spline through the joint
samples on a finer grid than timing uses.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.envs.bullet.body import ArmBody
from armctl.errors import UsageError
from armctl.motion import spline
from armctl.motion.gaps import FINEST, NEAR, Gaps
from armctl.motion.reference import Reference, interpolant
from armctl.scene.body import Scene

RATIOS = ("position", "velocity", "acceleration", "jerk", "torque")  # margins 1 - used / limit
DISTANCES = ("self_collision", "floor", "scene")  # margins in m; the last one where there is a scene
TOLERANCE = {"position": 1e-6, "velocity": 5e-3, "acceleration": 5e-3, "jerk": 2e-2, "torque": 5e-3}
OVERSAMPLING = 2


@dataclass(frozen=True)
class Certificate:
    """What the checker found.

    margins: position, velocity, acceleration, jerk, torque as 1 - used / limit (negative: broken); self_collision,
    floor and, where there is one, scene in m: the smallest distance at samples (beyond 0.1 m it counts as 0.1), and
    negative too where contact between samples cannot be ruled out, see `armctl.motion.gaps`; singularity, the smallest
    ratio of extreme singular values of the Jacobian along the way (information only). binding: the constraint with
    least margin, distances in parts of 0.1 m. duration, t_min: s, t_min being the shortest duration this path allows.
    eta: t_min / duration. valid: none broken.
    """

    margins: dict[str, float]
    binding: str
    duration: float
    t_min: float
    eta: float
    valid: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON-able form, as stored in Reference.meta["certificate"]."""
        return asdict(self)

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the broken constraints."""
        compared = [name for name in (*RATIOS, *DISTANCES) if name in self.margins]
        return tuple(name for name in compared if self.margins[name] < -TOLERANCE.get(name, 0.0))


def check_measured(chain: Chain) -> None:
    """Raise UsageError for an arm with collision geometry that could not be measured: nobody can vouch for it."""
    if chain.unmeasured:
        raise UsageError(
            f"No motion of {chain.name} can be certified: collision shapes of {', '.join(chain.unmeasured)} could not "
            "be measured (armctl.load_chain(...).notes say why); mend it, or remove its <collision>."
        )


class Checker:
    """A PyBullet world that certifies references of one arm; use it as a context manager or close it."""

    def __init__(self, chain: Chain, scene: Scene | None = None) -> None:
        """Load the arm, as the environments do, a floor at height 0 and a scene into a world of their own.

        Raises UsageError for an arm whose shapes are not all known, see `check_measured`, and for one in which a body
        of the scene stands.
        """
        check_measured(chain)
        self.chain, self.scene, self._body = chain, scene, ArmBody(chain, collisions=True)
        try:
            self._gaps = Gaps(self._body, scene)
        except UsageError:
            self.close()
            raise

    def __enter__(self) -> "Checker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; a second call does nothing."""
        self._body.close()

    def certify(self, reference: Reference) -> Certificate:
        """Margins of every constraint along a reference of this checker's arm."""
        q, *derivatives = _fine(reference)
        torque = self._body.inverse_dynamics(q, *derivatives[:2])
        used = _used(self.chain, q, derivatives, torque)
        margins = {name: float(1 - value) for name, value in used.items()}
        margins |= self._gaps.along(self.dense(reference))
        margins["singularity"] = _singularity(self.chain, reference.q)
        T = reference.duration
        scaled = [d * T**order for order, d in enumerate(derivatives, start=1)]
        still = np.zeros_like(reference.q)
        gravity = self._body.inverse_dynamics(reference.q, still, still)  # that of the samples will do for t_min
        dynamic = (torque[::OVERSAMPLING] - gravity) * T**2
        t_min = float(spline.minimal_duration(self.chain, scaled, gravity, dynamic)[0])
        compared = {name: margins[name] / (NEAR if name in DISTANCES else 1.0) for name in (*RATIOS, *self._gaps.names)}
        binding = min(compared, key=lambda name: compared[name])
        result = Certificate(margins, binding, T, t_min, t_min / T, True)
        return replace(result, valid=not result.broken)

    @staticmethod
    def dense(reference: Reference) -> np.ndarray:
        """Joints (M, n) along a reference, by a spline, so dense that no joint moves much more than FINEST."""
        times = np.arange(len(reference.q)) * reference.dt
        parts = max(1, int(np.ceil(np.abs(np.diff(reference.q, axis=0)).max(initial=0.0) / FINEST)))
        return interpolant(times, reference.q)(np.linspace(0, times[-1], parts * (len(times) - 1) + 1))

    def certified(self, reference: Reference) -> Reference:
        """The same reference with its certificate under meta["certificate"]."""
        return replace(reference, meta={**reference.meta, "certificate": self.certify(reference).as_dict()})


def certify(reference: Reference, chain: Chain, scene: Scene | None = None) -> Certificate:
    """Certificate of one reference. For many of one arm, keep a Checker open."""
    with Checker(chain, scene) as checker:
        return checker.certify(reference)


def _fine(reference: Reference) -> list[np.ndarray]:
    """q, qd, qdd, qddd (M, n) on a grid OVERSAMPLING times finer than the reference, by a spline through its joints."""
    times = np.arange(len(reference.q)) * reference.dt
    fine = np.linspace(0, times[-1], OVERSAMPLING * (len(times) - 1) + 1)
    path = interpolant(times, reference.q)
    zero = np.zeros((len(fine), reference.q.shape[1]))
    return [path.derivative(d)(fine) if d <= path.k else zero for d in range(4)]


def _used(chain: Chain, q: np.ndarray, derivatives: list[np.ndarray], torque: np.ndarray) -> dict[str, float]:
    """Largest share of each limit that is used: 1 is the limit itself."""
    bounded = np.isfinite(chain.lower) & np.isfinite(chain.upper)
    low, high = joint_box(chain, 0.0)
    position = np.where(bounded, np.abs(2 * q - low - high) / (high - low), 0.0)
    limits = (chain.velocity, chain.acceleration, chain.jerk, chain.effort)
    rates = [np.abs(x) / limit for x, limit in zip((*derivatives, torque), limits, strict=True)]
    return {name: np.max(share) for name, share in zip(RATIOS, (position, *rates), strict=True)}


def _singularity(chain: Chain, q: np.ndarray) -> float:
    size = np.linalg.svd(rigid.jacobian(chain, q[:: max(1, len(q) // 100)]), compute_uv=False)
    return float((size[:, min(6, chain.n) - 1] / size[:, 0]).min())
