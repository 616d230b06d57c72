"""Certificates: an independent PyBullet checker measures the margin of every constraint along a reference.

It shares no geometry or dynamics with what proposes motions: exact shape distances (getClosestPoints), Bullet's inverse
dynamics, and derivatives of a quintic spline through the joint samples on a finer grid than timing or guidance use.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from armctl import rigid
from armctl.chain import Chain, joint_box
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.client import p
from armctl.envs.bullet.self_collision import apart_at_home
from armctl.errors import UsageError
from armctl.motion import spline
from armctl.motion.collision import clearance_bounds
from armctl.motion.reference import Reference, interpolant

RATIOS = ("position", "velocity", "acceleration", "jerk", "torque")  # margins 1 - used / limit
DISTANCES = ("self_collision", "floor")  # margins in m
TOLERANCE = {"position": 1e-6, "velocity": 5e-3, "acceleration": 5e-3, "jerk": 2e-2, "torque": 5e-3}
NEAR = 0.1  # m; shapes farther apart than this are not measured exactly, and a distance of NEAR counts as a full margin
OVERSAMPLING = 2
CHECK_STEP = 0.02  # m or rad that any joint may move between two collision checks


@dataclass(frozen=True)
class Certificate:
    """What the checker found.

    margins: position, velocity, acceleration, jerk, torque as 1 - used / limit (negative: broken); self_collision and
    floor in m (distances beyond 0.1 m count as 0.1); singularity, the smallest ratio of extreme singular values of the
    Jacobian along the way (information only). binding: the constraint with least margin, distances in parts of 0.1 m.
    duration, t_min: s, t_min being the shortest duration this path allows. eta: t_min / duration. valid: none broken.
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
        return tuple(name for name in (*RATIOS, *DISTANCES) if self.margins[name] < -TOLERANCE.get(name, 0.0))


def check_measured(chain: Chain) -> None:
    """Raise UsageError for an arm with collision geometry that could not be measured: nobody can vouch for it."""
    if chain.unmeasured:
        raise UsageError(
            f"No motion of {chain.name} can be certified: collision shapes of {', '.join(chain.unmeasured)} could not "
            "be measured (armctl.load_chain(...).notes say why); mend it, or remove its <collision>."
        )


class Checker:
    """A PyBullet world that certifies references of one arm; use it as a context manager or close it."""

    def __init__(self, chain: Chain) -> None:
        """Load the arm, as the environments do, and a floor at height 0 into a world of their own.

        Raises UsageError for an arm whose shapes are not all known, see `check_measured`.
        """
        check_measured(chain)
        self.chain, self._body = chain, ArmBody(chain, collisions=True)
        world = {"physicsClientId": self._body.client}
        plane = p.createCollisionShape(p.GEOM_PLANE, planeNormal=[0, 0, 1], **world)
        self._floor = p.createMultiBody(baseCollisionShapeIndex=plane, **world)
        self._pairs = apart_at_home(self._body)
        self._floor_links = [i for i in range(chain.n) if self._height(i, 1.0) > 0]

    def __enter__(self) -> "Checker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; a second call does nothing."""
        self._body.close()

    def _height(self, link: int, within: float) -> float:
        """Exact distance of a link to the floor, m; `within` if it is more than that."""
        points = p.getClosestPoints(self._body.id, self._floor, within, link, -1, physicsClientId=self._body.client)
        return min((point[8] for point in points), default=within)

    def _torques(self, q: np.ndarray, qd: np.ndarray, qdd: np.ndarray) -> np.ndarray:
        return np.array([self._body.inverse_dynamics(*row) for row in zip(q, qd, qdd, strict=True)])

    def _distances(self, q: np.ndarray) -> dict[str, float]:
        """Smallest self-collision and floor distance along q (K, n), m, at most NEAR; spheres rule out what is far."""
        pair_bound, floor_bound = clearance_bounds(self.chain, q, self._pairs, self._floor_links)
        best = {"self_collision": NEAR, "floor": NEAR}
        for k in np.flatnonzero((pair_bound < NEAR).any(axis=1) | (floor_bound < NEAR).any(axis=1)):
            self._body.place(q[k])
            for i in np.flatnonzero(pair_bound[k] < best["self_collision"]):
                nearest = self._body.distance(*self._pairs[i], max(best["self_collision"], 0.0))
                best["self_collision"] = min(best["self_collision"], nearest)
            for i in np.flatnonzero(floor_bound[k] < best["floor"]):
                best["floor"] = self._height(self._floor_links[i], best["floor"])
        return best

    def certify(self, reference: Reference) -> Certificate:
        """Margins of every constraint along a reference of this checker's arm."""
        q, *derivatives = _fine(reference)
        gravity = self._torques(q, 0 * q, 0 * q)
        torque = self._torques(q, *derivatives[:2])
        used = _used(self.chain, q, derivatives, torque)
        margins = {name: float(1 - value) for name, value in used.items()}
        margins |= {name: float(x) for name, x in self._distances(_thinned(q)).items()}
        margins["singularity"] = _singularity(self.chain, reference.q)
        T = reference.duration
        scaled = [d * T**order for order, d in enumerate(derivatives, start=1)]
        t_min = float(spline.minimal_duration(self.chain, scaled, gravity, (torque - gravity) * T**2)[0])
        compared = {name: margins[name] / (NEAR if name in DISTANCES else 1.0) for name in (*RATIOS, *DISTANCES)}
        binding = min(compared, key=lambda name: compared[name])
        result = Certificate(margins, binding, T, t_min, t_min / T, True)
        return replace(result, valid=not result.broken)

    def certified(self, reference: Reference) -> Reference:
        """The same reference with its certificate under meta["certificate"]."""
        return replace(reference, meta={**reference.meta, "certificate": self.certify(reference).as_dict()})


def certify(reference: Reference, chain: Chain) -> Certificate:
    """Certificate of one reference. For many of one arm, keep a Checker open."""
    with Checker(chain) as checker:
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


def _thinned(q: np.ndarray) -> np.ndarray:
    """The samples (K', n) between which some joint moves CHECK_STEP, the last one included."""
    travelled = np.cumsum(np.abs(np.diff(q, axis=0)).max(axis=1), axis=0)
    marks = np.floor(np.concatenate([[0.0], travelled]) / CHECK_STEP)
    keep = np.concatenate([[True], np.diff(marks) > 0])
    keep[-1] = True
    return q[keep]


def _singularity(chain: Chain, q: np.ndarray) -> float:
    size = np.linalg.svd(rigid.jacobian(chain, q[:: max(1, len(q) // 100)]), compute_uv=False)
    return float((size[:, min(6, chain.n) - 1] / size[:, 0]).min())
