"""Certificates: an independent PyBullet checker measures the margin of every constraint along a reference.

It shares no geometry or dynamics with what proposes motions: exact shape distances (getClosestPoints), Bullet's inverse
dynamics, and derivatives of a quintic spline through the joint samples on a finer grid than timing or guidance use.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pybullet

from armctl import rigid
from armctl.motion import spline
from armctl.motion.collision import clearance_bounds
from armctl.motion.reference import Reference, interpolant
from armctl.urdf import Chain, write_urdf

RATIOS = ("position", "velocity", "acceleration", "jerk", "torque")  # margins 1 - used / limit
DISTANCES = ("self_collision", "floor")  # margins in m
TOLERANCE = {"position": 1e-6, "velocity": 5e-3, "acceleration": 5e-3, "jerk": 2e-2, "torque": 5e-3}
NEAR = 0.1  # m; shapes farther apart than this are not measured exactly, and a distance of NEAR counts as a full margin
GRAVITY = rigid.GRAVITY
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

    def as_dict(self) -> dict:
        """Plain JSON-able form, as stored in Reference.meta["certificate"]."""
        return asdict(self)

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the broken constraints."""
        return tuple(name for name in (*RATIOS, *DISTANCES) if self.margins[name] < -TOLERANCE.get(name, 0.0))


class Checker:
    """A PyBullet client that certifies references of one arm; use it as a context manager or close it."""

    def __init__(self, chain: Chain):
        """Load the arm and a floor at height 0 into a client of their own."""
        self.chain = chain
        self._client = pybullet.connect(pybullet.DIRECT)
        try:
            self._body, self._floor = self._load()
            self._pairs, self._floor_links = self._watched()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Checker":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect the client; a second call does nothing."""
        if self._client is not None:
            pybullet.disconnect(self._client)
            self._client = None

    def _load(self):
        options = {"physicsClientId": self._client}
        with TemporaryDirectory() as folder:
            path = Path(folder) / "arm.urdf"
            path.write_text(write_urdf(self.chain))
            flags = pybullet.URDF_USE_INERTIA_FROM_FILE | pybullet.URDF_MAINTAIN_LINK_ORDER
            body = pybullet.loadURDF(str(path), useFixedBase=True, flags=flags, **options)
        plane = pybullet.createCollisionShape(pybullet.GEOM_PLANE, planeNormal=[0, 0, 1], **options)
        floor = pybullet.createMultiBody(baseCollisionShapeIndex=plane, **options)
        pybullet.setGravity(*GRAVITY, **options)
        return body, floor

    def _watched(self):
        """Link pairs at least two apart, and links over the floor, that do not touch at home."""
        self._place(self.chain.home)
        n = self.chain.n
        pairs = [(i, j) for i in range(-1, n) for j in range(i + 2, n) if self._distance(i, j, 1.0) > 0]
        return pairs, [i for i in range(n) if self._distance(i, None, 1.0) > 0]

    def _place(self, q):
        states = [[float(x)] for x in q]
        pybullet.resetJointStatesMultiDof(self._body, range(len(states)), states, physicsClientId=self._client)

    def _distance(self, i, j, within):
        """Exact distance of link i to link j, or to the floor if j is None, m; `within` if it is more than that."""
        other, link = (self._floor, -1) if j is None else (self._body, j)
        points = pybullet.getClosestPoints(self._body, other, within, i, link, physicsClientId=self._client)
        return min((p[8] for p in points), default=within)

    def _torques(self, q, qd, qdd):
        run = pybullet.calculateInverseDynamics
        rows = zip(q.tolist(), qd.tolist(), qdd.tolist(), strict=True)
        return np.array([run(self._body, *row, physicsClientId=self._client) for row in rows])

    def _distances(self, q):
        """Smallest self-collision and floor distance along q (K, n), m, at most NEAR; spheres rule out what is far."""
        pair_bound, floor_bound = clearance_bounds(self.chain, q, self._pairs, self._floor_links)
        best = {"self_collision": NEAR, "floor": NEAR}
        for k in np.flatnonzero((pair_bound < NEAR).any(axis=1) | (floor_bound < NEAR).any(axis=1)):
            self._place(q[k])
            for p in np.flatnonzero(pair_bound[k] < best["self_collision"]):
                found = self._distance(self._pairs[p][0], self._pairs[p][1], best["self_collision"])
                best["self_collision"] = min(best["self_collision"], found)
            for p in np.flatnonzero(floor_bound[k] < best["floor"]):
                best["floor"] = min(best["floor"], self._distance(self._floor_links[p], None, best["floor"]))
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


def _fine(reference):
    """q, qd, qdd, qddd (M, n) on a grid OVERSAMPLING times finer than the reference, by a spline through its joints."""
    times = np.arange(len(reference.q)) * reference.dt
    fine = np.linspace(0, times[-1], OVERSAMPLING * (len(times) - 1) + 1)
    path = interpolant(times, reference.q)
    zero = np.zeros((len(fine), reference.q.shape[1]))
    return [path.derivative(d)(fine) if d <= path.k else zero for d in range(4)]


def _used(chain, q, derivatives, torque):
    """Largest share of each limit that is used: 1 is the limit itself."""
    bounded = np.isfinite(chain.lower) & np.isfinite(chain.upper)
    low, high = np.where(bounded, chain.lower, -1.0), np.where(bounded, chain.upper, 1.0)
    position = np.where(bounded, np.abs(2 * q - low - high) / (high - low), 0.0)
    limits = (chain.velocity, chain.acceleration, chain.jerk, chain.effort)
    rates = [np.abs(x) / limit for x, limit in zip((*derivatives, torque), limits, strict=True)]
    return {name: np.max(share) for name, share in zip(RATIOS, (position, *rates), strict=True)}


def _thinned(q):
    """The samples (K', n) between which some joint moves CHECK_STEP, the last one included."""
    travelled = np.cumsum(np.abs(np.diff(q, axis=0)).max(axis=1), axis=0)
    marks = np.floor(np.concatenate([[0.0], travelled]) / CHECK_STEP)
    keep = np.concatenate([[True], np.diff(marks) > 0])
    keep[-1] = True
    return q[keep]


def _singularity(chain, q):
    size = np.linalg.svd(rigid.jacobian(chain, q[:: max(1, len(q) // 100)]), compute_uv=False)
    return float((size[:, min(6, chain.n) - 1] / size[:, 0]).min())
