"""One estimation problem, a point in it, and Levenberg-Marquardt between them for noise that is held fixed."""

from dataclasses import dataclass, replace

import numpy as np

from armctl.arm import Arm
from armctl.identify import shooting
from armctl.identify.parameters import Parameters
from armctl.identify.projection import Projected, project, reduce
from armctl.plant.servo import ServoConfig

FIRST_NOISE = (1e-4, 1e-3)
"""Noise assumed at first, rad and rad/s; the residuals soon replace it."""
NOISE_FLOOR = 1e-9
"""Least noise, rad and rad/s: below it, rounding would be weighed as information."""
CAUTION = (0.1, 10.0, 1e9)
"""Damping of the steps of initial states that are tried besides none: where a joint just sticks, or just does not, the
better state is not where the derivative says."""
NEAR = 1e-2
"""A fit has converged when the next step promises to lower the cost by this: a tenth of a standard deviation."""


@dataclass(frozen=True, eq=False)
class Point:
    """Parameters, initial states and what they predict."""

    theta: np.ndarray  # (p,)
    x0: np.ndarray  # (W, 2n) rad, rad/s
    x: np.ndarray  # (W, L, 2n) prediction
    residual: np.ndarray  # (W, L, 2n) prediction minus measurement
    sigma: np.ndarray  # (2n,) noise by which residuals are weighted
    cost: float  # sum of squared residuals in units of the noise, and of the prior
    iterations: int = 0
    converged: bool = False


@dataclass(frozen=True, eq=False)
class Problem:
    """Windows of a log, and the prior on the vector of parameters."""

    arm: Arm
    servo: ServoConfig
    items: Parameters
    windows: shooting.Windows
    mean: np.ndarray  # (p,)
    prior_std: np.ndarray  # (p,)
    rubs: bool = True  # whether there is friction, identified or the arm's own

    def point(self, theta: np.ndarray, x0: np.ndarray, sigma: np.ndarray) -> Point:
        """Predict every window; the cost is infinite where the twin diverges."""
        command, rubs = self.windows.command, self.rubs
        x = np.asarray(shooting.predict(self.arm, self.servo, self.items, theta, x0, command, rubs=rubs))
        residual = x - self.windows.x
        with np.errstate(over="ignore", invalid="ignore"):
            cost = np.sum((residual / sigma) ** 2) + np.sum(((theta - self.mean) / self.prior_std) ** 2)
        return Point(theta, x0, x, residual, sigma, float(cost) if np.isfinite(cost) else np.inf)

    def better_states(self, a: Point, b: Point) -> Point:
        """Of two points with the same parameters, window by window the initial state that explains more."""
        costs = [
            np.sum(np.nan_to_num((point.residual / point.sigma) ** 2, nan=np.inf), axis=(1, 2)) for point in (a, b)
        ]
        first = (costs[0] <= costs[1])[:, None]
        return self.point(a.theta, np.where(first, a.x0, b.x0), a.sigma)

    def begin(self, theta: np.ndarray) -> Point:
        """A vector of parameters and the measured initial states, weighted by the noise that is assumed at first."""
        return self.point(theta, self.windows.x[:, 0], np.repeat(FIRST_NOISE, self.arm.n))

    def linearised(self, point: Point) -> Projected:
        """The problem around a point, weighted by its noise, states eliminated."""
        given = self.arm, self.servo, self.items, point.theta, point.x, self.windows.command
        A, B = shooting.sensitivities(*given, rubs=self.rubs)
        flat = (len(point.x), point.x[0].size, -1)
        A, B = ((np.asarray(y) / point.sigma[:, None]).reshape(flat) for y in (A, B))
        return project((point.residual / point.sigma).reshape(flat[:2]), A, B)


def solve(problem: Problem, start: Point, iterations: int) -> tuple[Point, Projected]:
    """Levenberg-Marquardt from a point, at most so many predictions; also the linearisation where it ends."""
    now, damping, worse = replace(start, converged=False), 1e-3, 2.0
    linear = problem.linearised(now)
    for _ in range(iterations):
        reduced = reduce(linear, now.theta - problem.mean, problem.prior_std)
        if reduced.decrease < NEAR:
            return replace(now, converged=True), linear
        step = reduced.step(damping)
        ahead = problem.point(now.theta + step, now.x0 + linear.states_step(step), now.sigma)
        for caution in CAUTION if problem.rubs else ():
            state = now.x0 + linear.states_step(step, caution)
            ahead = problem.better_states(ahead, problem.point(ahead.theta, state, now.sigma))
        if ahead.cost > now.cost:
            damping, worse = damping * worse, 2 * worse
            continue
        # the better the linear problem foretold the cost, the less damping (Nielsen 1999)
        ratio = (now.cost - ahead.cost) / reduced.gain(step)
        damping, worse = damping * max(1 / 10, 1 - (2 * ratio - 1) ** 3), 2.0
        now = replace(ahead, iterations=now.iterations + 1)
        linear = problem.linearised(now)
    return now, linear


def noise(point: Point, linear: Projected, prior_std: np.ndarray) -> np.ndarray:
    """Standard deviation of every measured channel (2n,) from what the fit left, corrected for what it took away."""
    kept = 1 - linear.leverage(prior_std).reshape(point.residual.shape)
    variance = np.sum(point.residual**2, axis=(0, 1)) / np.sum(kept, axis=(0, 1))
    return np.maximum(np.sqrt(variance), NOISE_FLOOR)
