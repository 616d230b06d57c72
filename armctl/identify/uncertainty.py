"""How well the data tell the parameters: Gauss-Newton (Laplace) covariance, discounted for serial correlation.

If what a fit leaves were white, its curvature would be the whole answer. A model error leaves residuals that stay on
one side for many samples; such a channel tells less than it seems to, by its integrated autocorrelation time
tau = 1 + 2 sum rho(k) (Sokal 1997), and its information is divided by that.
"""

from dataclasses import dataclass

import numpy as np

from armctl.identify.parameters import Parameters, slopes
from armctl.identify.problem import Point
from armctl.identify.projection import Projected

NOTICEABLE = 0.2
"""Least share of a parameter in a direction that names it."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """What data and prior together say, in physical units (delta method)."""

    covariance: np.ndarray  # (p, p)
    prior_std: np.ndarray  # (p,)
    correlation_time: np.ndarray  # (2n,) samples, 1 where residuals are white

    @property
    def std(self) -> np.ndarray:
        """Standard deviations, (p,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        """(p, p)."""
        return self.covariance / np.outer(self.std, self.std)

    @property
    def weak(self) -> np.ndarray:
        """Directions (k, p), in units of the prior, along which at least half of the prior's variance is left."""
        left, directions = np.linalg.eigh(self.covariance / np.outer(self.prior_std, self.prior_std))
        return directions.T[left > 0.5]


def posterior(point: Point, linear: Projected, items: Parameters) -> Posterior:
    """Laplace approximation at a solution."""
    prior_std, (W, L, channels) = np.array([item.prior_std for item in items]), point.residual.shape
    kept = np.maximum(1 - linear.leverage(prior_std).reshape(W, L, channels), 1e-6)
    tau = correlation_time(point.residual / point.sigma / np.sqrt(kept))
    rows = linear.B.reshape(W, L, channels, -1) / np.sqrt(tau)[:, None]
    covariance = gaussian(rows.reshape(W * L * channels, -1), prior_std)
    slope = slopes(items, point.theta)
    return Posterior(covariance * np.outer(slope, slope), prior_std, tau)


def gaussian(rows: np.ndarray, prior_std: np.ndarray) -> np.ndarray:
    """Covariance (p, p) of a linear problem with weighted rows (N, p), unit noise and independent priors (p,)."""
    # by orthogonal factors and in units of the prior: the data may outweigh it by fifteen orders of magnitude
    triangle = np.linalg.qr(np.concatenate([rows * prior_std, np.eye(len(prior_std))]), mode="r")
    half = np.linalg.inv(triangle) * prior_std[:, None]
    return half @ half.T


def correlation_time(residual: np.ndarray) -> np.ndarray:
    """Integrated autocorrelation time of every channel, samples, at least 1. residual: (W, L, c) weighted -> (c,).

    Lags within windows only, up to half a window or the first that could be chance (two standard errors). Residuals far
    below the noise by which they are weighted are rounding and count as white.
    """
    W, L, channels = residual.shape
    power = np.maximum(np.mean(residual**2, axis=(0, 1)), 0.5)
    tau, open_ = np.ones(channels), np.ones(channels, bool)
    for lag in range(1, L // 2 + 1):
        rho = np.mean(residual[:, lag:] * residual[:, :-lag], axis=(0, 1)) / power
        open_ &= rho > 2 / np.sqrt(W * (L - lag))
        tau += 2 * np.where(open_, rho, 0.0)
    return tau


def weak_directions(posterior: Posterior, names: tuple[str, ...]) -> list[dict[str, float]]:
    """Each weak direction as the parameters that move along it and their shares, the largest first."""
    found = []
    for direction in posterior.weak:
        order = np.argsort(-np.abs(direction))
        sign = np.sign(direction[order[0]])
        found.append({names[i]: float(sign * direction[i]) for i in order if abs(direction[i]) >= NOTICEABLE})
    return found
