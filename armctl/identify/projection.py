"""Least squares with nuisance states: the initial state of every window is eliminated, the parameters remain.

With residuals r + A dx + B dtheta of a window, the best dx leaves r~ + B~ dtheta, both projected on the complement of
A's columns by its QR factors (variable projection, Golub & Pereyra 1973; exact for the linearised problem).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Projected:
    """One linearisation, weighted by the noise, with the states eliminated."""

    r: np.ndarray  # (W, N) residuals orthogonal to the states' columns
    B: np.ndarray  # (W, N, p) derivative by the parameters, likewise
    Q: np.ndarray  # (W, N, d) basis of the states' columns
    R: np.ndarray  # (W, d, d)
    full_r: np.ndarray  # (W, N) before the projection
    full_B: np.ndarray  # (W, N, p)

    def states_step(self, step: np.ndarray, damping: float = 0.0) -> np.ndarray:
        """Change of the states (W, d) that goes best with a change of the parameters (p,); damping as in Reduced."""
        rest = self.full_r + self.full_B @ step
        slope = np.einsum("wdi,wd->wi", self.R, np.einsum("wnd,wn->wd", self.Q, rest))
        curvature = self.R.swapaxes(1, 2) @ self.R
        scale = np.einsum("wdd->wd", curvature)
        damped = curvature + damping * scale[:, None] * np.eye(scale.shape[1])
        return -np.linalg.solve(damped, slope[..., None])[..., 0]

    def leverage(self, prior_std: np.ndarray) -> np.ndarray:
        """Share (W, N) of each residual's variance that the fit of states and parameters has taken away."""
        rows = self.B.reshape(-1, len(prior_std))
        factor: np.ndarray = np.linalg.qr(np.concatenate([rows, np.diag(1 / prior_std)]))[1]
        inner = np.linalg.solve(factor.T, rows.T).T.reshape(self.B.shape)
        return np.sum(self.Q**2, axis=-1) + np.sum(inner**2, axis=-1)


def project(r: np.ndarray, A: np.ndarray, B: np.ndarray) -> Projected:
    """Eliminate the states. r: (W, N) weighted residuals; A: (W, N, d), B: (W, N, p) their derivatives."""
    Q, R = np.linalg.qr(A)

    def complement(X: np.ndarray) -> np.ndarray:
        return X - Q @ (Q.swapaxes(1, 2) @ X)

    return Projected(complement(r[..., None])[..., 0], complement(B), Q, R, r, B)


@dataclass(frozen=True, eq=False)
class Reduced:
    """The problem in the parameters alone: minimise |T step - y|^2, the prior included."""

    T: np.ndarray  # (p, p) upper triangular
    y: np.ndarray  # (p,)

    @property
    def decrease(self) -> float:
        """By how much the best step lowers the cost, a sum of squares in standard deviations."""
        return float(self.y @ self.y)

    def gain(self, step: np.ndarray) -> float:
        """By how much a step (p,) would lower the cost of the linear problem."""
        return float(self.y @ self.y - np.sum((self.T @ step - self.y) ** 2))

    def step(self, damping: float) -> np.ndarray:
        """Levenberg-Marquardt step (p,); damping: relative to the curvature of each entry (Marquardt 1963)."""
        scale = np.linalg.norm(self.T, axis=0)
        rows = np.concatenate([self.T / scale, np.sqrt(damping) * np.eye(len(scale))])
        return np.linalg.lstsq(rows, np.concatenate([self.y, 0 * self.y]), rcond=None)[0] / scale


def reduce(one: Projected, offset: np.ndarray, prior_std: np.ndarray) -> Reduced:
    """Parameters' part of a linearisation. offset: (p,) parameters minus the prior's mean; prior_std: (p,)."""
    rows = np.concatenate([one.B.reshape(-1, len(offset)), np.diag(1 / prior_std)])
    Q, T = np.linalg.qr(rows)
    return Reduced(T, -Q.T @ np.concatenate([one.r.ravel(), offset / prior_std]))
