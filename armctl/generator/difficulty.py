"""How hard is a reference? A critic fitted on the errors of a panel of controllers, and what to do with its answer."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from armctl import rigid
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.ranks import ranks, spearman
from armctl.motion.reference import Reference

FEATURES = (
    "log duration",
    "peak joint speed / limit",
    "rms joint speed / limit",
    "peak joint acceleration / limit",
    "rms joint acceleration / limit",
    "peak torque / limit",
    "rms inertial torque / limit",
    "log peak tip speed",
    "log rms tip acceleration",
    "log tip path length",
    "worst manipulability",
)
PENALTIES = np.logspace(-2, 3, 11)
FOLDS = 5
STRIDE = 4  # every fourth sample describes a motion that a 100 Hz controller can follow


def features(reference: Reference, chain: Chain) -> np.ndarray:
    """Interpretable description (F,), in the order FEATURES, of a reference for this arm; pure NumPy."""
    q, qd, qdd = (x[::STRIDE] for x in (reference.q, reference.qd, reference.qdd))
    speed, acceleration = np.abs(qd) / chain.velocity, np.abs(qdd) / chain.acceleration
    torque = rigid.inverse_dynamics(chain, q, qd, qdd)
    inertial = torque - rigid.gravity(chain, q)
    J = rigid.jacobian(chain, q[::STRIDE])
    singular_values = np.linalg.svd(J[..., :3, :], compute_uv=False)
    tip_speed = np.linalg.norm(reference.twist[:, :3], axis=-1)
    tip_acceleration = np.linalg.norm(reference.accel[:, :3], axis=-1)
    return np.array(
        [
            np.log(max(reference.duration, 1e-3)),
            speed.max(),
            _rms(speed),
            acceleration.max(),
            _rms(acceleration),
            np.abs(torque / chain.effort).max(),
            _rms(inertial / chain.effort),
            np.log(tip_speed.max() + 1e-3),
            np.log(_rms(tip_acceleration) + 1e-2),
            np.log(tip_speed.sum() * reference.dt + 1e-3),
            singular_values[..., -1].min(),
        ]
    )


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


@dataclasses.dataclass(frozen=True, eq=False)
class Critic:
    """Ridge regression from features and their squares to the log tracking error.

    mean, scale: (F,) standardisation of the features. weights: (1 + 2 F,) intercept, linear and quadratic. penalty:
    chosen by cross-validation. rank_correlation: Spearman's, of cross-validated predictions with the errors.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    penalty: float
    rank_correlation: float

    def predict(self, described: np.ndarray) -> np.ndarray:
        """Predicted log error (N,) of feature rows (N, F)."""
        return _design((described - self.mean) / self.scale) @ self.weights

    def score(self, references: Sequence[Reference], chain: Chain) -> np.ndarray:
        """Predicted log error (N,) of references."""
        return self.predict(np.stack([features(reference, chain) for reference in references]))


def fit_critic(described: np.ndarray, errors: np.ndarray, *, seed: int = 0) -> Critic:
    """Fit the critic to the errors of a frozen panel of controllers.

    described: (N, F) rows of `features`. errors: (N,) or (N, P) tracking errors in m, one column per controller, whose
    logs are averaged. seed: of the cross-validation folds.
    Raises UsageError for fewer than ten references and for errors that are not positive and finite.
    """
    errors = np.asarray(errors, float).reshape(len(errors), -1)
    if len(errors) < 2 * FOLDS or not (np.isfinite(errors).all() and (errors > 0).all()):
        raise UsageError(f"The critic needs {2 * FOLDS} or more positive, finite errors; got {len(errors)} references.")
    target = np.log(errors).mean(axis=1)
    mean, scale = described.mean(0), np.maximum(described.std(0), 1e-9)
    design = _design((described - mean) / scale)
    fold = np.random.default_rng(seed).permutation(len(target)) % FOLDS
    guesses = [_held_out_guess(design, target, fold, penalty) for penalty in PENALTIES]
    best = int(np.argmin([np.mean((guess - target) ** 2) for guess in guesses]))
    weights = _ridge(design, target, PENALTIES[best])
    return Critic(mean, scale, weights, float(PENALTIES[best]), spearman(guesses[best], target))


def _design(z: np.ndarray) -> np.ndarray:
    z = np.clip(z, -3.0, 3.0)  # a quadratic must not be asked about what it has never seen
    return np.concatenate([np.ones((len(z), 1)), z, z**2], axis=1)


def _ridge(design: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    shrink = penalty * np.eye(design.shape[1])
    shrink[0, 0] = 0.0
    return np.linalg.solve(design.T @ design + shrink + 1e-9 * np.eye(len(shrink)), design.T @ target)


def _held_out_guess(design: np.ndarray, target: np.ndarray, fold: np.ndarray, penalty: float) -> np.ndarray:
    guess = np.empty_like(target)
    for k in range(FOLDS):
        guess[fold == k] = design[fold == k] @ _ridge(design[fold != k], target[fold != k], penalty)
    return guess


def select(difficulty: np.ndarray, quantile: float, count: int) -> np.ndarray:
    """Indices (count,) of the proposals nearest to a quantile of the pool's difficulty: steering by resampling.

    difficulty: (N,) predicted. quantile: in [0, 1]; 1 asks for the hardest.
    Raises UsageError for a quantile outside [0, 1] and for more wanted than there are.
    """
    if not 0 <= quantile <= 1:
        raise UsageError(f"Difficulty quantile {quantile} is outside [0, 1].")
    if count > len(difficulty):
        raise UsageError(f"Cannot select {count} of {len(difficulty)} proposals; propose more.")
    place = (ranks(difficulty) - 0.5) / len(difficulty)
    return np.argsort(np.abs(place - quantile), kind="stable")[:count]


def curriculum_weights(regret: np.ndarray, unsteered: float = 0.3) -> np.ndarray:
    """Sampling probabilities (N,) that favour regret and keep a share unsteered against collapse.

    regret: (N,) tracker error minus that of a model-perfect controller on the same plant, m. unsteered: share of the
    probability spread evenly. Raises UsageError for regret that is not finite and a share outside [0, 1].
    """
    regret = np.asarray(regret, float)
    if not np.isfinite(regret).all() or not 0 <= unsteered <= 1:
        raise UsageError(f"Curriculum needs finite regrets and an unsteered share in [0, 1]; got share {unsteered}.")
    gain = np.maximum(regret, 0.0)
    even = np.full(len(regret), 1 / len(regret))
    return even if gain.sum() == 0 else unsteered * even + (1 - unsteered) * gain / gain.sum()
