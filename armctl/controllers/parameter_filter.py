"""A Kalman filter on what the nominal model does not know of the plant: load, friction, torque constants, links, tilt.

The torque that acted over the last control step and the motion that followed are one measurement of n numbers,

    tau - ID_nominal(q, qd, qdd) = Y(q, qd, qdd, tau) theta + noise,

linear in the parameters theta. Noise has two parts: that of the velocities that qdd is the difference of, which the
mass matrix turns into torque, and what friction does at rest, where any torque up to its bound may act.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl.arm import Arm
from armctl.controllers.base import Gain, gain
from armctl.controllers.believed_plant import Plant, possible_load
from armctl.geometry import matvec
from armctl.recursions.cholesky import inverse_cholesky
from armctl.recursions.regressor import Regressor
from armctl.rigid import GRAVITY
from armctl.typing import Array

BOUND = 9.0
"""Mean square of the white innovations beyond which a measurement counts as an outlier (Huber 1964)."""
LEAST = 1e-6
"""Growth of variance per step that single precision needs, in prior variances."""


class Updated(NamedTuple):
    """What a measurement made of mean and covariance."""

    mean: Array  # (..., H, m)
    covariance: Array  # (..., m, m)
    white: Array  # (..., H, n) innovations, independent and of variance 1 where the hypothesis holds
    spread: Array  # (...) log det of their covariance
    sure: Array  # (...) share of noise in what was to be expected of them: 1 where all parameters are known


class ParameterFilter(nnx.Module):
    """Mean and covariance of theta, in prior standard deviations; all its own numbers are gains."""

    def __init__(self, arm: Arm, features: int = 0, control_dt: float = 0.01) -> None:
        """arm: nominal; features: learned torques per joint; control_dt: s between measurements."""
        self.n, self.features, self.control_dt = arm.n, features, control_dt
        n, capacity = arm.n, float(np.max(arm.effort)) / -float(GRAVITY[2])
        mass, friction = 0.15 * capacity, 0.01 * np.asarray(arm.effort)
        groups = {
            "load": np.array([mass, *[0.05 * mass] * 3, *[0.005 * mass] * 6]),
            "viscous": friction,
            "dry": friction,
            "strength": np.full(n, 0.03),
            "links": np.full(n, 0.05),
            "tilt": np.full(2, 0.2),
            "learned": np.repeat(friction, features),
        }
        sizes = [len(x) for x in groups.values()]
        self.names, self.ends = tuple(groups), tuple(int(x) for x in np.cumsum(sizes))
        self.size = self.ends[-1]
        self.log_deviation = Gain(jnp.asarray(np.log(np.concatenate(list(groups.values()))), jnp.float32))
        # a learned torque is there until it turns out not to be: with weights of zero it could not be learned
        self.log_load = gain(0.3)
        self.expected = Gain(jnp.repeat(jnp.array([0, 1], jnp.float32), np.array([3 * n, n * features])))
        self.log_walk = Gain(jnp.full(self.size, np.log(1e-3), jnp.float32))
        self.log_velocity_noise = Gain(jnp.full(n, np.log(2e-3), jnp.float32))
        self.log_torque_noise = Gain(jnp.asarray(np.log(1e-3 * np.asarray(arm.effort)), jnp.float32))
        self.log_sticking = Gain(jnp.full(n, np.log(1.0), jnp.float32))
        self.log_stretch = Gain(jnp.zeros(3, jnp.float32))  # of the deviations that are stated: load, viscous, dry
        self.log_slow = Gain(jnp.full(n, np.log(0.02), jnp.float32))

    @property
    def prior(self) -> Array:
        """Mean before any measurement (..., m): a load, friction, weaker motors, and what was learned.

        Links, tilt and the load's place are as likely to differ one way as the other; a prior that were free to would
        only learn to push upwards.
        """
        n, none = self.n, jnp.zeros
        rubbing, learned = self.expected[: 3 * n], self.expected[3 * n :]
        load = jnp.concatenate([jnp.exp(self.log_load[...])[None], none(9)])
        return jnp.concatenate([load, rubbing, none(n + 2), learned])

    def start(self, batch: tuple[int, ...]) -> tuple[Array, Array]:
        """Mean (..., m), as what is to be added to the prior, and covariance (..., m, m) before any measurement."""
        return jnp.zeros((*batch, self.size)), jnp.broadcast_to(jnp.eye(self.size), (*batch, self.size, self.size))

    def direction(self, qd: Array) -> Array:
        """Where dry friction points, between -1 and 1: undecided at rest. qd: (..., n) rad/s -> (..., n)."""
        return jnp.tanh(qd / jnp.exp(self.log_slow[...]))

    def columns(self, parts: Regressor, qd: Array, features: Array, mean: Array) -> Array:
        """Y (..., n, m), of a motion taken apart. qd: (..., n) rad/s; features: (..., n, K); mean: (..., m)."""

        def diagonal(x: Array) -> Array:
            return x[..., None] * jnp.eye(self.n, dtype=x.dtype)

        nominal = jnp.sum(parts.links, axis=-1)
        learned = features[..., None, :] * jnp.eye(self.n, dtype=qd.dtype)[..., None]
        blocks = {
            "load": parts.load,
            "viscous": diagonal(qd),
            "dry": diagonal(self.direction(qd)),
            "links": parts.links,
            "tilt": parts.gravity[..., :2],
            "learned": learned.reshape(*learned.shape[:-2], self.n * self.features),
        }
        scale = dict(zip(self.names, self._split(jnp.exp(self.log_deviation[...])), strict=True))
        scaled = {name: x * scale[name] for name, x in blocks.items()}
        # delivered = s commanded: what the motors lack grows with the torque that the motion needs
        parts_of = dict(zip(self.names, self._split(self.prior + mean), strict=True))
        needed = nominal + sum(matvec(x, parts_of[name]) for name, x in scaled.items())
        scaled["strength"] = diagonal(-needed) * scale["strength"]
        return jnp.concatenate([scaled[name] for name in self.names], axis=-1)

    def noise(self, M: Array, qd: Array, dry: Array, roughness: Array) -> Array:
        """Covariance (..., n, n) of a measurement.

        M: (..., n, n) kg m^2; qd: (..., n); dry: (..., n) N m believed; roughness: (...) variance of the velocities'
        noise over the usual one.
        """
        rough = jnp.sqrt(2.0) * jnp.exp(self.log_velocity_noise[...]) / self.control_dt
        A = M * rough * jnp.sqrt(roughness)[..., None, None]
        resting = jnp.exp(-((qd / (2 * jnp.exp(self.log_slow[...]))) ** 2))
        floor = jnp.exp(self.log_torque_noise[...])
        stick = jnp.exp(self.log_sticking[...]) * (dry + floor) * resting
        return A @ A.swapaxes(-1, -2) + (floor**2 + stick**2)[..., None] * jnp.eye(self.n, dtype=M.dtype)

    def update(self, mean: Array, P: Array, Y: Array, R: Array, y: Array) -> Updated:
        """One measurement, under several hypotheses of what it was.

        mean: (..., H, m); P: (..., m, m); Y: (..., n, m); R: (..., n, n); y: (..., H, n) N m.
        """
        PY = P @ Y.swapaxes(-1, -2)
        whitening = inverse_cholesky(Y @ PY + R)
        innovation = y - jnp.einsum("...nm,...hm->...hn", Y, self.prior + mean)
        white = jnp.einsum("...ij,...hj->...hi", whitening, innovation)
        W = PY @ whitening.swapaxes(-1, -2)
        # what not even the likeliest hypothesis expects, such as a blow, moves the mean no further than BOUND would
        misfit = jax.lax.stop_gradient(jnp.min(jnp.mean(white**2, axis=-1), axis=-1))
        trust = jnp.sqrt(BOUND / jnp.maximum(misfit, BOUND))
        mean = mean + trust[..., None, None] * jnp.einsum("...mn,...hn->...hm", W, white)
        walk = jnp.exp(2 * self.log_walk[...]) + LEAST
        P = (
            P
            - (trust * (2 - trust))[..., None, None] * (W @ W.swapaxes(-1, -2))
            + walk[..., None] * jnp.eye(self.size, dtype=P.dtype)
        )
        spread = -2 * jnp.sum(jnp.log(jnp.diagonal(whitening, axis1=-2, axis2=-1)), axis=-1)
        sure = jnp.mean(jnp.sum((whitening @ R) * whitening, axis=-1), axis=-1)
        return Updated(mean, P, white, spread, sure)

    def plant(self, mean: Array) -> Plant:
        """What a mean (..., m) says of the plant."""
        theta = (self.prior + mean) * jnp.exp(self.log_deviation[...])
        part = dict(zip(self.names, self._split(theta), strict=True))
        learned = part["learned"].reshape(*mean.shape[:-1], self.n, self.features)
        viscous, dry = (jnp.maximum(part[name], 0.0) for name in ("viscous", "dry"))
        links = 1 + jnp.clip(part["links"], -0.5, 0.5)
        strength = 1 / (1 - jnp.clip(part["strength"], -0.5, 0.5))
        tilt = jnp.concatenate([part["tilt"], jnp.zeros_like(part["tilt"][..., :1])], axis=-1)
        return Plant(possible_load(part["load"]), links, tilt, viscous, dry, strength, learned)

    def deviations(self, P: Array) -> list[Array]:
        """Standard deviations of load, viscous and dry friction in physical units, calibrated. P: (..., m, m)."""
        one = jnp.sqrt(jnp.maximum(jnp.diagonal(P, axis1=-2, axis2=-1), 0.0)) * jnp.exp(self.log_deviation[...])
        stretch = jnp.exp(self.log_stretch[...])
        return [group * stretch[i] for i, group in enumerate(self._split(one)[:3])]

    def _split(self, x: Array) -> list[Array]:
        return jnp.split(x, self.ends[:-1], axis=-1)
