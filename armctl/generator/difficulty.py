"""How hard is a reference? A critic fitted on the errors of a panel of controllers, and what to do with its answer."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from armctl import rigid
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.generator.ranks import spearman
from armctl.motion import spline
from armctl.motion.corpus import Corpus
from armctl.motion.reference import Reference
from armctl.motion.sampling import split_torque
from armctl.plant.presets import rated_payload
from armctl.rigid import GRAVITY

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
    "rms torque of a load / limit",
    "span of the torque of a load / limit",
    "log rms joint acceleration by a load",
    "log rms tip acceleration by a load",
    "log peak tip acceleration by a load",
)
PENALTIES = np.logspace(-2, 3, 11)
FOLDS = 5
FEWEST = 2 * FOLDS
"""Motions that a critic needs."""
SAMPLES = 51  # of a motion, which its description is made from
BLOCK = 256  # paths described at once


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
    """What of motions does not depend on how fast they are run; with a duration it makes their features.

    speed, acceleration: dq/ds and d2q/ds2 (B, K, n) as shares of the joints' limits, s and s^2; gravity, inertial:
    torque at rest and that of (dq/ds, d2q/ds2), shares of the limits, the latter s^2; tip: the tip's |dp/ds| (B, K) m
    and |d2p/ds2| (B, K) m; still: (B, F') features that are the same at any speed.
    """

    speed: np.ndarray
    acceleration: np.ndarray
    gravity: np.ndarray
    inertial: np.ndarray
    tip: tuple[np.ndarray, np.ndarray]
    still: np.ndarray

    def features(self, duration: np.ndarray) -> np.ndarray:
        """Interpretable description (B, F), in the order FEATURES, of the motions run in duration (B,) s."""
        T = np.asarray(duration, float)
        speed, acceleration, inertial = (
            self.speed / _wide(T),
            self.acceleration / _wide(T) ** 2,
            self.inertial / _wide(T) ** 2,
        )
        columns = [
            np.log(np.maximum(T, 1e-3)),
            _peak(speed),
            _rms(speed),
            _peak(acceleration),
            _rms(acceleration),
            _peak(self.gravity + inertial),
            _rms(inertial),
            np.log(self.tip[0].max(axis=1) / T + 1e-3),
            np.log(np.sqrt(np.mean(self.tip[1] ** 2, axis=1)) / T**2 + 1e-2),
        ]
        return np.concatenate([np.stack(columns, axis=1), self.still], axis=1)


def shape_of_paths(chain: Chain, control_points: np.ndarray) -> Shape:
    """The shape of spline paths, control_points (B, C, n) rad; pure NumPy."""
    return _shape(chain, *spline.evaluate(control_points, SAMPLES, derivatives=2))


def described(corpus: Corpus, chain: Chain) -> np.ndarray:
    """Descriptions (N, F) of the motions of a corpus."""
    parts = []
    for k in range(0, len(corpus), BLOCK):
        rows = slice(k, k + BLOCK)
        parts.append(shape_of_paths(chain, corpus.control_points[rows]).features(corpus.duration[rows]))
    return np.concatenate(parts)


def features(reference: Reference, chain: Chain) -> np.ndarray:
    """Description (F,), in the order FEATURES, of a reference for this arm."""
    T = max(reference.duration, 1e-3)
    rows = np.round(np.linspace(0, len(reference.q) - 1, SAMPLES)).astype(int)
    q, dq, d2q = (x[None, rows] for x in (reference.q, reference.qd * T, reference.qdd * T**2))
    return _shape(chain, q, dq, d2q).features(np.array([T]))[0]


def _shape(chain: Chain, q: np.ndarray, dq: np.ndarray, d2q: np.ndarray) -> Shape:
    """From joint positions and their derivatives in s = t / duration, (B, K, n) each."""
    gravity, inertial = split_torque(chain, q, dq, d2q)
    J = rigid.jacobian(chain, q)
    way = (J[..., :3, :] @ dq[..., None])[..., 0]
    turn = np.gradient(way, 1 / (q.shape[1] - 1), axis=1)
    length = np.log(np.linalg.norm(way, axis=-1).mean(axis=1) + 1e-3)
    narrow = np.linalg.svd(J[:, ::2, :3], compute_uv=False)[..., -1].min(axis=1)
    load = J[..., 2, :] * rated_payload(chain) * -GRAVITY[2]
    share = load / chain.effort
    joint, tip = _given_way(chain, q[:, ::2], J[:, ::2, :3], load[:, ::2])
    still = [length, narrow, _rms(share), (share.max(axis=1) - share.min(axis=1)).max(axis=1)]
    still += [np.log(_rms(joint) + 1e-2), np.log(_rms(tip) + 1e-2), np.log(tip.max(axis=(1, 2)) + 1e-2)]
    return Shape(
        dq / chain.velocity, d2q / chain.acceleration, gravity / chain.effort, inertial / chain.effort,
        (np.linalg.norm(way, axis=-1), np.linalg.norm(turn, axis=-1)), np.stack(still, axis=1),
    )  # fmt: skip


def _given_way(chain: Chain, q: np.ndarray, J: np.ndarray, torque: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How the arm would give way under a load's torque (B, K, n) if nothing held it.

    q: (B, K, n) rad; J: (B, K, 3, n) of the tip's position -> joint acceleration (B, K, n) rad/s^2 and the size of the
    tip's (B, K, 1) m/s^2.
    """
    joint = np.linalg.solve(rigid.mass_matrix(chain, q), torque[..., None])
    return joint[..., 0], np.linalg.norm(J @ joint, axis=-2)


def _wide(T: np.ndarray) -> np.ndarray:
    return T[:, None, None]


def _peak(x: np.ndarray) -> np.ndarray:
    return np.abs(x).max(axis=(1, 2))


def _rms(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(x**2, axis=(1, 2)))


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
    if len(errors) < FEWEST or not (np.isfinite(errors).all() and (errors > 0).all()):
        raise UsageError(f"The critic needs {FEWEST} or more positive, finite errors; got {len(errors)} references.")
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


SPEEDS = np.geomspace(0.1, 1.0, 28)
ALIKE = 0.02  # percentiles by which motions may differ and count as equally difficult


@dataclasses.dataclass(frozen=True, eq=False)
class Dial:
    """Difficulty as a percentile: what share of a corpus a critic expects to be tracked better.

    critic: of the panel's errors. errors: (N,) the log errors it expects of the motions of the
    corpus, sorted. scenario: preset
    that the panel was measured under. panel: names of its controllers.
    """

    critic: Critic
    errors: np.ndarray
    scenario: str
    panel: tuple[str, ...]

    def percentile(self, described: np.ndarray) -> np.ndarray:
        """Difficulty (N,) in [0, 1] of feature rows (N, F)."""
        return np.interp(self.critic.predict(described), self.errors, np.linspace(0, 1, len(self.errors)))

    def speeds(
        self, shape: Shape, t_min: np.ndarray, difficulty: float, near: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Speeds (B,) at which paths are as difficult as asked or nearly so, and how difficult they are then (B,).

        shape, t_min: (B,) s, of the paths. near: (B,) speeds, of which the nearest that will do is taken.
        """
        found = np.stack([self.percentile(shape.features(t_min / eta)) for eta in SPEEDS], axis=1)
        cost = np.maximum(np.abs(found - difficulty), ALIKE) + 1e-3 * np.abs(SPEEDS - near[:, None])
        best = np.argmin(cost, axis=1)
        return SPEEDS[best], found[np.arange(len(found)), best]


jax.tree_util.register_dataclass(
    Critic, data_fields=("mean", "scale", "weights"), meta_fields=("penalty", "rank_correlation")
)
jax.tree_util.register_dataclass(Dial, data_fields=("critic", "errors"), meta_fields=("scenario", "panel"))
