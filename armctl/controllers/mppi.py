"""Model predictive path integral control (Williams et al. 2017): many futures of the nominal arm, the best weigh most.

The futures are rolled out by the twin's own step, around what computed torque would do.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from armctl import twin
from armctl.arm import Arm
from armctl.controllers.base import Controller, gain
from armctl.dynamics import inverse_dynamics, mass_matrix
from armctl.geometry import matvec
from armctl.kinematics import forward_kinematics
from armctl.plant.observe import Measurement, Window, counter_normal
from armctl.plant.scenario import PlantParams
from armctl.plant.servo import ServoConfig
from armctl.rigid import GRAVITY
from armctl.typing import Array

METRE_PER_RADIAN = 0.1  # length that one radian of orientation error is worth, as in the objective of tuning
POSTURE = 0.01  # m/rad, length that one radian of a joint off the reference is worth


class Plan(NamedTuple):
    """What is carried from step to step."""

    change: Array  # (..., H, n) rad/s^2, by which the plan departs from computed torque
    key: Array  # (...) uint32, of the random numbers
    step: Array  # (...) uint32, control steps so far


class PathIntegral(Controller):
    """tau = tau_0 + M (v + sum of w_k e_k), w = softmax(-S / temperature) over K perturbations e_k of the plan v.

    An action costs K H = 256 steps of the nominal arm, about 0.4 ms on one CPU core, fifteen times that of the other
    classical laws, and a gradient as much more: tune it with a small budget. The same seed gives the same commands.
    The temperature is high for such perturbations: the weights then follow the slope of the cost, and where
    computed torque is right already the plan stays with it.
    """

    name = "mppi"
    title = "Path integral control"
    family = "classical"
    SAMPLES = 64
    HORIZON = 4  # control steps
    SUBSTEPS = 1  # physics steps of the rollouts per control step
    least_preview = HORIZON

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.seed = seed
        self.log_kp, self.log_kd = gain(600.0, (arm.n,)), gain(40.0, (arm.n,))
        self.log_std = gain(10.0, (arm.n,))  # rad/s^2, of the perturbations
        self.log_temperature = gain(200.0)  # mm^2, difference in cost that makes a future e times less likely
        self.log_coast = gain(0.02)  # s, over which a velocity that is wrong counts as an error of position

    def init_carry(self, batch: tuple[int, ...] = ()) -> Plan:
        """Computed torque as the plan."""
        change = jnp.zeros((*batch, self.HORIZON, self.arm.n))
        return Plan(change, jnp.full(batch, self.seed, jnp.uint32), jnp.zeros(batch, jnp.uint32))

    def __call__(self, carry: Plan, m: Measurement, w: Window) -> tuple[Plan, Array]:
        """Perturb the plan, roll out, weigh, act by the plan's first step, and shift it."""
        # What computed torque would do over the horizon, (..., H, n), and the inertia that makes torques of changes.
        base, M = self.nominal(m, w), mass_matrix(self.arm, m.q)
        # Perturbations in pairs of opposite sign, whose mean is zero: where all futures cost the same nothing changes.
        std = jnp.exp(self.log_std[...])
        half = counter_normal(carry.key, carry.step, self.SAMPLES // 2 * self.HORIZON * self.arm.n)
        half = half.reshape(*half.shape[:-1], self.SAMPLES // 2, self.HORIZON, self.arm.n)
        unit = jnp.concatenate([half, -half], axis=-3)
        noise = std * unit
        # Each future is the nominal arm under tau_0 + M (v + e), from where it was measured.
        plan = carry.change[..., None, :, :]
        tau = base[..., None, :, :] + (plan + noise) @ M[..., None, :, :]
        # Its cost is S = sum of squared errors, and what departs further from computed torque has to be worth it:
        # S / temperature + v' Sigma^-1 e, with Sigma = std^2 (Williams et al. 2017, information-theoretic form).
        price = jnp.sum(plan / std * unit, axis=(-1, -2))
        score = self.cost(m, w, tau) / jnp.exp(self.log_temperature[...]) + price
        weight = jax.nn.softmax(-score, axis=-1)[..., None, None]
        change = carry.change + jnp.sum(weight * noise, axis=-3)
        # The first step acts; the others are where the next plan begins, with computed torque behind them.
        command = base[..., 0, :] + matvec(M, change[..., 0, :])
        later = jnp.concatenate([change[..., 1:, :], jnp.zeros_like(change[..., :1, :])], axis=-2)
        return Plan(later, carry.key, carry.step + 1), jnp.clip(command, -self.arm.effort, self.arm.effort)

    def nominal(self, m: Measurement, w: Window) -> Array:
        """Torques (..., H, n) N m of computed torque on the nominal arm, rolled out from a measurement."""
        kp, kd = jnp.exp(self.log_kp[...]), jnp.exp(self.log_kd[...])

        def step(state: twin.TwinState, x: tuple[Array, Array, Array]) -> tuple[twin.TwinState, Array]:
            q, qd, later = x
            qdd = (later - qd) / self.control_dt + kp * (q - state.q) + kd * (qd - state.qd)
            tau = inverse_dynamics(self.arm, state.q, state.qd, qdd)
            tau = jnp.clip(tau, -self.arm.effort, self.arm.effort)
            return self.moved(state, tau), tau

        q, qd = (jnp.moveaxis(x, -2, 0) for x in (w.q, w.qd))
        H = self.HORIZON
        return jnp.moveaxis(jax.lax.scan(step, self.begun(m), (q[:H], qd[:H], qd[1 : H + 1]))[1], 0, -2)

    def cost(self, m: Measurement, w: Window, tau: Array) -> Array:
        """Cost (..., K) mm^2 of torques (..., K, H, n) N m held one after the other from a measurement on.

        The sum over the horizon of squared errors of the tip's pose and of the posture, where the arm would be if it
        went on at the velocity that it has too much for a little while: e + coast de/dt, not e, is to vanish.
        """
        coast = jnp.exp(self.log_coast[...])

        def step(state: twin.TwinState, x: tuple[Array, ...]) -> tuple[twin.TwinState, Array]:
            tau, q, qd, p, R = x
            state = self.moved(state, tau)
            there = state.q + coast * (state.qd - qd)
            T = forward_kinematics(self.arm, there)
            square = jnp.sum((T[..., :3, 3] - p) ** 2, axis=-1)
            square += METRE_PER_RADIAN**2 / 2 * jnp.sum((T[..., :3, :3] - R) ** 2, axis=(-1, -2))
            return state, 1e6 * (square + POSTURE**2 * jnp.sum((there - q) ** 2, axis=-1))

        # of the window: time first, then batch, then an axis for the samples
        targets = [jnp.moveaxis(x, m.q.ndim - 1, 0)[1 : self.HORIZON + 1] for x in (w.q, w.qd, w.p, w.R)]
        targets = [jnp.expand_dims(x, m.q.ndim) for x in targets]
        spread = tau.shape[:-2] + tau.shape[-1:]
        start = self.begun(Measurement(*(jnp.broadcast_to(x[..., None, :], spread) for x in m)))
        return jnp.sum(jax.lax.scan(step, start, (jnp.moveaxis(tau, -2, 0), *targets))[1], axis=0)

    def begun(self, m: Measurement) -> twin.TwinState:
        """The twin where the arm was measured."""
        return twin.reset(self.arm, self._servo(), m.q, m.qd)

    def moved(self, state: twin.TwinState, tau: Array) -> twin.TwinState:
        """The nominal twin after a control step under torques (..., n) N m, in large physics steps."""
        arm = self.arm
        plant = PlantParams(arm.mass, arm.first_moment, arm.inertia, np.asarray(GRAVITY), np.zeros((), np.uint32), {})
        return twin.step(arm, self._servo(), plant, state, tau, stops=False)[0]

    def _servo(self) -> ServoConfig:
        step = self.control_dt / self.SUBSTEPS
        return ServoConfig(control="torque", physics_dt=step, control_dt=self.control_dt)
