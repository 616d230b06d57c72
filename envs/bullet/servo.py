"""The shared servo law and the effects on torques on one PyBullet arm, at the physics rate."""

from collections.abc import Sequence

import numpy as np

from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.friction import friction_torque
from armctl.envs.bullet.pose import Numbers
from armctl.plant.effects.acting import Acting
from armctl.plant.servo import FRICTION_VELOCITY, ServoConfig, saturated
from armctl.typing import Array


class ServoDrive:
    """Drives a body by joint torques.

    The law is that of armctl.plant.servo, to rounding error; it is written out here for one arm because it runs at
    every physics step, where each NumPy call costs as much as a tenth of the step itself. Inertia and gravity torque
    are those of `model`, the nominal arm, sampled at the beginning of each control step.
    After `step`: torque (n,) N m delivered last; saturation: share of joints and physics steps at the effort limit;
    load: mean square of torque over effort.
    """

    def __init__(self, body: ArmBody, model: ArmBody, config: ServoConfig) -> None:
        self._body, self._model, self._config = body, model, config
        chain = model.chain
        self._effort, self._velocity = chain.effort, chain.velocity
        self._limits = chain.effort.tolist()
        self._own = (chain.damping, chain.friction) if chain.damping.any() or chain.friction.any() else None
        self._asked = np.zeros((config.substeps, chain.n))

    def reset(self, effects: Acting) -> None:
        """Take over the true plant's effects, with its motors holding the nominal arm where the body is."""
        self.torque, self.saturation, self.load = np.zeros(len(self._effort)), 0.0, 0.0
        self._effects, self._ideal = effects, not effects.on_torques
        if not self._ideal:
            hold = self._model.mass_and_gravity(self._body.state()[0])[1]
            self._memory = effects.start(saturated(hold, self._effort))

    def step(self, goal: Numbers, q: Array, qd: Array, time: float) -> tuple[Sequence[float], Sequence[float]]:
        """Run one control step towards `goal`, n numbers in N m, rad/s or rad, from q, qd (n) -> q, qd at its end.

        time: at which it begins, s since the reset.
        """
        config, body, open_loop = self._config, self._body, self._config.control == "torque"
        if open_loop and self._ideal:
            return self._hold(goal)
        tau = wanted = np.asarray(goal)
        q, qd = np.array(q), np.array(qd)
        if not open_loop:
            M, g = self._model.mass_and_gravity(q)
            M *= config.velocity_gain
        for i in range(config.substeps):
            if not open_loop:
                velocity = self._velocity_towards(wanted, q) if config.control == "position" else wanted
                tau = M.dot(velocity - qd) + g
                if self._own is not None:
                    tau += self._own[0] * velocity + self._own[1] * np.tanh(velocity / FRICTION_VELOCITY)
            self._asked[i] = tau
            if self._ideal:
                body.set_torque(forces=self._saturated(tau.tolist()))
            else:
                self._act(tau, q, qd, time + i * config.physics_dt)
            body.step()
            q, qd = body.state()
        self._account()
        return q.tolist(), qd.tolist()

    def _hold(self, torque: Numbers) -> tuple[Sequence[float], Sequence[float]]:
        """Run one control step of a torque (n) that does not depend on the state -> q, qd at its end."""
        body, forces = self._body, self._saturated(torque)
        for _ in range(self._config.substeps):
            body.set_torque(forces=forces)
            body.step()
        self._asked[:] = torque
        self._account()
        q, qd, _, _ = zip(*body.joint_states())  # noqa: B905 (strict costs a tenth of the reading)
        return q, qd

    def _saturated(self, torque: Numbers) -> list[float]:
        return [e if t > e else -e if t < -e else t for t, e in zip(torque, self._limits, strict=True)]

    def _velocity_towards(self, goal: np.ndarray, q: np.ndarray) -> np.ndarray:
        velocity = self._config.position_gain * (goal - q)
        return np.minimum(np.maximum(velocity, -self._velocity), self._velocity)

    def _act(self, tau: np.ndarray, q: np.ndarray, qd: np.ndarray, time: float) -> None:
        """Give the body what the effects make of the torque asked for, for one physics step."""
        effects, body, dt = self._effects, self._body, self._config.physics_dt
        tau, self._memory = effects.torque(self._memory, saturated(tau, self._effort), q, qd, time, dt)
        self._applied = tau
        push = effects.wrench(np.asarray(time), dt)
        external = 0.0
        if push is not None and push.any():
            body.apply_wrench(push[:3].tolist(), push[3:].tolist())
            external = body.jacobian(q).T @ push
        damping, dry = effects.damping(), effects.dry_friction(qd)
        if damping is not None or dry is not None:
            tau = tau + friction_torque(body, q, qd, tau + external, damping, dry)
        body.set_torque(forces=tau.tolist())

    def _account(self) -> None:
        share = np.minimum(np.abs(self._asked) / self._effort, 1.0)
        self.torque = saturated(self._asked[-1], self._effort) if self._ideal else self._applied
        self.saturation = float((share >= 1.0).sum()) / share.size
        self.load = float(np.vdot(share, share)) / share.size
