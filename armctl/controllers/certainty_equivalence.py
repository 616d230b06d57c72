"""Certainty-equivalent control: inverse dynamics of the plant that is believed, as if it were the true one.

Each control step the state is predicted to when the command to be given will act; the torque then is what the
reference's motion needs there, and what the feedback asks for besides. Who says what is to be believed, a filter or an
oracle, is another matter.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import Controller
from armctl.controllers.believed_plant import Plant, inertia, rigid_torque
from armctl.controllers.delay_bank import under_way
from armctl.controllers.feedback import Feedback, Target, coming, mixed, targets
from armctl.dynamics import gravity, mass_matrix, torque_regressor
from armctl.geometry import matvec
from armctl.plant.observe import Measurement, Window
from armctl.recursions.cholesky import inverse
from armctl.recursions.regressor import Regressor
from armctl.rigid import GRAVITY
from armctl.typing import Array

SWEEPS = 3
"""Of the search for a torque that the motors can give."""


class Seen(NamedTuple):
    """One control step as the controller sees it; motions are taken apart into what torques are linear in."""

    m: Measurement  # (..., n) now
    before: Measurement  # (..., n) one control step earlier
    commands: Array  # (..., H, n) N m given so far, newest first
    target: Target  # (..., D + 1, n) over the coming control steps
    error: Measurement  # (..., n) from the reference now
    past: Regressor  # (...) of the last control step
    coming: Regressor  # (..., D + 1) of the coming ones, as the reference wants them
    M: Array  # (..., n, n) kg m^2 of the nominal arm
    tilt: Array  # (..., 3) m/s^2 by which gravity differs from the level's in past and coming


class CertaintyEquivalence(Controller):
    """Prediction over the delay, inverse dynamics of the believed plant, feedback in joint accelerations."""

    LONGEST = 3
    """Longest delay that is acted upon, control steps."""
    least_preview = LONGEST + 1

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.feedback = Feedback(arm.n, self.LONGEST, control_dt)

    def see(
        self, before: Measurement, commands: Array, m: Measurement, w: Window, first: Array, tilt: Array, beyond: Array
    ) -> Seen:
        """What is known of this step.

        before: (..., n); commands: (..., H, n); first: (...) bool, no step before it; tilt: (..., 3) m/s^2 as far as it
        is known, so that the load's weight is tilted too; beyond: (...) control steps by which the delay is longer than
        what is acted upon. Commands under way begin as if the nominal arm stood still.
        """
        now = Measurement(*(jax.lax.stop_gradient(x) for x in m))
        hold = gravity(self.arm, now.q)[..., None, :]
        before = Measurement(*(jnp.where(first[..., None], x, old) for x, old in zip(m, before, strict=True)))
        commands = jnp.where(first[..., None, None], hold, commands)
        every = targets(w, self.control_dt)
        early = self.feedback.velocity(every)
        error = Measurement(m.q - every.q[..., 0, :], m.qd - early[..., 0, :])
        # the coming steps begin when what is acted upon does: an error stays as it is until then
        target = coming(every, beyond, self.LONGEST + 1)
        off = m.q - every.q[..., 0, :], m.qd - every.qd[..., 0, :]
        past, parts = self._motions(before, m, target, off, tilt)
        return Seen(m, before, commands, target, error, past, parts, mass_matrix(self.arm, now.q), tilt)

    def last_middle(self, seen: Seen) -> Measurement:
        """The measured state in the middle of the last control step (..., n); data, no gradient is taken of it."""
        return Measurement(*(jax.lax.stop_gradient(0.5 * (a + b)) for a, b in zip(seen.before, seen.m, strict=True)))

    def middles(self, seen: Seen) -> tuple[Array, Array]:
        """The reference in the middle of every coming control step: q, qd (..., D + 1, n)."""
        half = 0.5 * self.control_dt
        q, qd, qdd = seen.target
        return q + half * qd, qd + half * qdd

    def torque(self, seen: Seen, plant: Plant, joint: Array, delays: Array, sure: Array, caution: Array) -> Array:
        """Command (..., n) N m, within the motors' effort.

        joint: (..., D + 1, n) N m that friction and all else that is no rigid body's take over the coming control
        steps, at the reference's velocity: friction that follows a measured one chatters. delays: (..., D + 1)
        probabilities; sure, caution: (...) in [0, 1], see Feedback.
        """
        M = inertia(plant, seen.M, jax.tree.map(lambda x: x[..., 0, :, :], seen.coming))
        mobility = inverse(M)
        believed = along(plant._replace(tilt=plant.tilt - seen.tilt), seen.m.q.ndim - 1)
        needed = rigid_torque(believed, seen.coming) + joint
        error = self._predict(plant, delays, mobility, needed, seen)
        acceleration = self.feedback(delays, error, sure, caution)
        asked = mixed(delays, needed) + matvec(M, acceleration)
        return attainable(self.arm.effort * plant.strength, asked, mobility) / plant.strength

    def _motions(
        self, before: Measurement, m: Measurement, want: Target, off: tuple[Array, Array], tilt: Array
    ) -> tuple[Regressor, Regressor]:
        """The last step's motion taken apart, and the coming ones.

        Those are where the arm is, not where it should be: off (..., n) rad and rad/s. The motions are data: no
        gradient is taken of what they teach, only of what is made of it.
        """
        half, (off_q, off_qd) = 0.5 * self.control_dt, off
        q = [0.5 * (before.q + m.q)[..., None, :], want.q + half * want.qd + off_q[..., None, :]]
        qd = [0.5 * (before.qd + m.qd)[..., None, :], want.qd + half * want.qdd + off_qd[..., None, :]]
        qdd = [((m.qd - before.qd) / self.control_dt)[..., None, :], want.qdd]
        at, rate, acceleration = (jax.lax.stop_gradient(jnp.concatenate(x, axis=-2)) for x in (q, qd, qdd))
        level = jnp.asarray(GRAVITY, tilt.dtype)
        parts = torque_regressor(self.arm, at, rate, acceleration, level + tilt[..., None, :])
        return jax.tree.map(lambda x: x[..., 0, :, :], parts), jax.tree.map(lambda x: x[..., 1:, :, :], parts)

    def _predict(self, plant: Plant, delays: Array, mobility: Array, needed: Array, seen: Seen) -> Measurement:
        """How far from the reference the arm will be when the command to be given begins to act.

        What acts until then is under way; what it lacks of the torque that the reference needs makes the error grow.
        """
        ahead, dt = under_way(delays, seen.commands), self.control_dt
        lacking = plant.strength[..., None, :] * ahead.command - needed[..., : self.LONGEST, :]
        drift = jnp.einsum("...ij,...dj->...di", mobility, lacking)
        q, qd = seen.error
        for i in range(self.LONGEST):
            part = dt * ahead.share[..., i, None]
            q, qd = q + part * (qd + 0.5 * dt * drift[..., i, :]), qd + part * drift[..., i, :]
        return Measurement(q, qd)


def attainable(effort: Array, asked: Array, mobility: Array) -> Array:
    """The torque within the motors' effort whose acceleration is nearest to that of the torque asked for.

    effort, asked: (..., n) N m; mobility: (..., n, n) 1/(kg m^2), the inverse of the mass matrix; near in the norm of
    kinetic energy, by some sweeps of projected Gauss-Seidel. Cut off joint by joint instead, a torque drives all joints
    elsewhere, and the harder the further off they are.
    """
    beyond = jnp.any(jnp.abs(asked) > effort)  # in a step in which no motor of the batch is asked for more, all is done
    return jax.lax.cond(beyond, _nearest, lambda effort, asked, mobility: asked, effort, asked, mobility)


@jax.checkpoint  # of the search nothing is kept for the backward pass, which makes it anew
def _nearest(effort: Array, asked: Array, mobility: Array) -> Array:
    """`attainable` by the search, one joint after the other; batch last, as the recursions are."""
    n, rows, wanted = asked.shape[-1], jnp.moveaxis(mobility, (-2, -1), (0, 1)), jnp.moveaxis(asked, -1, 0)
    bound = jnp.moveaxis(jnp.broadcast_to(effort, asked.shape), -1, 0)
    least, most = -bound - wanted, bound - wanted
    joints = jnp.arange(n).reshape(n, *[1] * (asked.ndim - 1))

    def relax(off: Array, i: Array) -> tuple[Array, None]:
        row, own, low, high = (jax.lax.dynamic_index_in_dim(x, i, keepdims=False) for x in (rows, off, least, most))
        slope = sum(row[j] * off[j] for j in range(n))
        new = jnp.clip(own - slope / jax.lax.dynamic_index_in_dim(row, i, keepdims=False), low, high)
        return jnp.where(joints == i, new, off), None

    off, _ = jax.lax.scan(relax, jnp.clip(jnp.zeros_like(wanted), least, most), jnp.tile(jnp.arange(n), SWEEPS))
    return jnp.moveaxis(wanted + off, 0, -1)


def along(plant: Plant, axis: int) -> Plant:
    """The plant with an axis of coming control steps at a place."""
    return jax.tree.map(lambda x: jnp.expand_dims(x, axis), plant)
