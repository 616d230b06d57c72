"""The prediction-error estimate of an arm's parameters from its logs, weighted by the noise that it finds itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import numpy as np

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.identify import parameters, shooting, uncertainty
from armctl.identify.log import RolloutLog, check_log
from armctl.identify.parameters import Parameters
from armctl.identify.problem import Point, Problem, noise, solve
from armctl.identify.projection import Projected
from armctl.identify.result import Identification
from armctl.identify.start import equation_values
from armctl.plant.scenario import Scenario
from armctl.settings import check_finite

LATENCIES = (0, 1, 2, 3)
SEARCH_STEPS = 6
NOISE_ROUNDS = 6
SETTLED = 0.05
"""Relative change of the noise at which it is taken as found."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class FitConfig:
    """How parameters are estimated."""

    groups: tuple[str, ...] = ("payload",)
    """payload (mass and centre at the tip), friction (viscous and Coulomb, every joint), inertia (factor per link)."""
    window: int = 25
    """Samples that are predicted from one initial state."""
    latency: int | None = None
    """Control steps from command to effect; tried from 0 to 3 when None."""
    iterations: int = 30
    """Most Levenberg-Marquardt steps for one estimate of the noise."""

    def __post_init__(self) -> None:
        check_finite(self)
        if self.window < 3:
            raise UsageError(f"window is {self.window}; a window needs at least 3 samples.")
        if self.latency is not None and self.latency < 0:
            raise UsageError(f"latency is {self.latency}; give 0 or more control steps.")
        if self.iterations < 1:
            raise UsageError(f"iterations is {self.iterations}; give at least 1.")


def identify(
    chain: Chain, logs: list[RolloutLog], config: FitConfig | None = None, progress: Progress = lambda text: None
) -> Identification:
    """Estimate what differs from the nominal arm, with its uncertainty, from logs of one arm under one servo.

    chain: nominal arm; logs: what it did (their `truth` is not looked at); progress: told of every delay that was tried
    and of every round of estimating the noise, of which there are at most NOISE_ROUNDS.
    Raises UsageError for logs that do not fit the arm or one another, unknown groups and windows longer than a log.
    """
    config, started = config or FitConfig(), time.perf_counter()
    items = parameters.parameters(chain, config.groups)
    for log in logs:
        check_log(log, chain)
    if not logs or any(log.config != logs[0].config for log in logs):
        raise UsageError("The logs differ in control mode or time steps; identify from logs of one kind, at least one.")
    with jax.enable_x64(True):
        problems = {delay: _problem(chain, logs, config, items, delay) for delay in delays(config)}
        delay, start, costs = _choose(problems, progress)
        problem = problems[delay]
        point, linear = _reweighted(problem, start, config.iterations, progress)
        nominal = parameters.vector(items, parameters.known_values(chain, items, Scenario()))
        before = problem.begin(nominal).residual
    return Identification(
        items=items,
        theta=point.theta,
        posterior=uncertainty.posterior(point, linear, items),
        residual=point.residual,
        before=before,
        noise=point.sigma,
        latency=delay,
        latency_costs=costs,
        iterations=point.iterations,
        converged=point.converged,
        seconds=time.perf_counter() - started,
    )


def delays(config: FitConfig) -> tuple[int, ...]:
    """The delays that are tried, in control steps."""
    return LATENCIES if config.latency is None else (config.latency,)


def _problem(chain: Chain, logs: list[RolloutLog], config: FitConfig, items: Parameters, delay: int) -> Problem:
    return Problem(
        arm=Arm.from_chain(chain),
        servo=logs[0].config,
        items=items,
        windows=shooting.cut(chain, logs, config.window, delay),
        mean=parameters.vector(items, np.array([item.start for item in items])),
        prior_std=np.array([item.prior_std for item in items]),
        rubs="friction" in config.groups or bool(chain.damping.any() or chain.friction.any()),
    )


def _choose(problems: dict[int, Problem], progress: Progress) -> tuple[int, Point, dict[int, float]]:
    """The delay under which the twin explains the log best, where its fit begins, and the cost of each delay tried."""
    found = {}
    for delay, problem in problems.items():
        theta = parameters.vector(
            problem.items, equation_values(problem.arm, problem.servo, problem.items, problem.windows)
        )
        found[delay] = problem.begin(theta)
        if len(problems) > 1:
            found[delay] = solve(problem, found[delay], SEARCH_STEPS)[0]
        progress(f"latency {delay}: cost {found[delay].cost:.4g}")
    best = min(found, key=lambda delay: found[delay].cost)
    return best, found[best], {delay: point.cost for delay, point in found.items()} if len(found) > 1 else {}


def _reweighted(problem: Problem, point: Point, iterations: int, progress: Progress) -> tuple[Point, Projected]:
    """Fit and estimate the noise in turns until it no longer changes."""
    n = problem.arm.n
    for _ in range(NOISE_ROUNDS):
        point, linear = solve(problem, point, iterations)
        sigma = noise(point, linear, problem.prior_std)
        found = f"noise {np.median(sigma[:n]):.2g} rad, {np.median(sigma[n:]):.2g} rad/s"
        progress(f"step {point.iterations}: {found}{'' if point.converged else ', not converged'}")
        if np.all(np.abs(np.log(sigma / point.sigma)) < SETTLED):
            return point, linear
        point = replace(problem.point(point.theta, point.x0, sigma), iterations=point.iterations)
    return solve(problem, point, iterations)
