"""Adaptive control by a bank of parameter filters, one hypothesis per delay; the tracker without its network.

Each control step the last one's motion is explained by the command that acted, under every delay. What then is believed
of plant and delay is acted upon as if it were true (certainty_equivalence.py).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from armctl.arm import Arm
from armctl.controllers.base import gain
from armctl.controllers.believed_plant import Plant, inertia
from armctl.controllers.certainty_equivalence import CertaintyEquivalence, Seen, along
from armctl.controllers.delay_bank import DelayBank, misfit
from armctl.controllers.feedback import mixed
from armctl.controllers.parameter_filter import ParameterFilter
from armctl.geometry import matvec
from armctl.plant.observe import Measurement, Window
from armctl.typing import Array

AVERAGED = 0.95
"""Forgetting of the averages by which the controller knows that it is out of its depth, per control step."""
STRANGEST = 30.0
"""Most that one measurement counts in the average of the innovations' squares, so that a blow does not alarm."""
SURPRISING, REOPENED = 3.0, 1e-2
"""Average beyond which the plant is taken for another one, and the variance that each multiple of it adds per step."""
ROUGHENED = 0.05
"""How fast the noise is found to be stronger or weaker than it was taken to be, per control step."""
ROUGHEST = 1e4
"""Most of it: a hundred times the usual noise."""


class Belief(NamedTuple):
    """Memory: what was measured and commanded last, and what follows from all that was."""

    q: Array  # (..., n) rad, previous measurement
    qd: Array  # (..., n) rad/s
    commands: Array  # (..., H, n) N m, newest first
    mean: Array  # (..., H, m) of the parameters under every delay, as deviations from the prior
    covariance: Array  # (..., m, m)
    evidence: Array  # (..., H) nats
    white: Array  # (..., n) newest innovations, of variance 1 where the model holds
    roughness: Array  # (...) variance of the velocities' noise over the usual one, 1 at least
    surprise: Array  # (...) mean square of the innovations, 1 where the model holds
    sure: Array  # (...) how much of the parameters is known, 0 to 1
    saturation: Array  # (...) share of commands at their bounds
    loss: Array  # (...) minus the log-likelihood of the newest measurement per joint, nats
    step: Array  # (...) control steps so far
    slow: Array  # (..., m) mean that cannot follow what repeats, see tracker_online.py; empty elsewhere
    habit: Array  # (..., n, C) N m of what is learned in deployment, see there; C = 0 elsewhere


class Estimates(NamedTuple):
    """What a belief says, with standard deviations."""

    payload_mass: Array  # (...) kg
    payload_mass_deviation: Array  # (...) kg
    viscous: Array  # (..., n) N m s/rad
    viscous_deviation: Array  # (..., n)
    dry: Array  # (..., n) N m
    dry_deviation: Array  # (..., n)
    delay_probability: Array  # (..., H) of 0, 1, ... control steps
    caution: Array  # (...) how far out of its depth the controller is, 0 to 1


class FilterBank(CertaintyEquivalence):
    """Filters on physical parameters, one for every delay, and control by what they believe."""

    name = "filter_bank"
    title = "Filter bank"
    family = "classical"
    compile_seconds = 60
    information = "nominal model, measured joint state, reference window, own past commands"
    KNOWN = 6
    """Longest delay that is recognised, control steps."""
    FEATURES = 0
    """Learned torques per joint."""

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.filter = ParameterFilter(arm, self.FEATURES, control_dt)
        self.bank = DelayBank(self.LONGEST, self.KNOWN)
        self.log_alarm = gain(8.0)

    def init_carry(self, batch: tuple[int, ...] = ()) -> Belief:
        """Nothing measured, the prior believed, every delay as likely as the others."""
        n, hypotheses = self.arm.n, self.KNOWN + 1
        mean, P = self.filter.start(batch)
        mean = jnp.broadcast_to(mean[..., None, :], (*batch, hypotheses, self.filter.size))
        zero, none, one = jnp.zeros((*batch, n)), jnp.zeros(batch), jnp.ones(batch)
        commands, evidence = jnp.zeros((*batch, hypotheses, n)), jnp.zeros((*batch, hypotheses))
        slow, habit = jnp.zeros((*batch, 0)), jnp.zeros((*batch, n, 0))
        return Belief(zero, zero, commands, mean, P, evidence, zero, one, one, none, none, none, none, slow, habit)

    def __call__(self, carry: Belief, m: Measurement, w: Window) -> tuple[Belief, Array]:
        """Learn, then act upon what is believed."""
        before = jax.lax.stop_gradient(self.posterior(carry.evidence))
        believed = jax.lax.stop_gradient(mixed(before, carry.mean))
        plant = jax.lax.stop_gradient(self.filter.plant(believed))
        last, first = Measurement(carry.q, carry.qd), carry.step == 0
        seen = self.see(last, carry.commands, m, w, first, plant.tilt, self.bank.beyond(before))
        belief = self._learn(carry, seen, believed, plant)
        # data as well: the derivative of a choice between delays is wild and teaches nothing
        posterior = jax.lax.stop_gradient(self.posterior(belief.evidence))
        delays, _ = self.bank.acted_upon(posterior)
        plant = self.believed(belief, posterior)
        joint = self.joint_torques(along(plant, m.q.ndim - 1), *self.middles(seen))
        command = self.torque(seen, plant, joint, delays, belief.sure, self.caution(belief))
        at_bounds = jnp.abs(jax.lax.stop_gradient(command)) >= 0.999 * self.arm.effort
        full = jnp.mean(at_bounds, axis=-1, dtype=command.dtype)
        commands = jnp.concatenate([command[..., None, :], seen.commands[..., :-1, :]], axis=-2)
        saturation = AVERAGED * belief.saturation + (1 - AVERAGED) * full
        return belief._replace(q=m.q, qd=m.qd, commands=commands, saturation=saturation, step=carry.step + 1), command

    def learned(self, q: Array, qd: Array) -> Array:
        """Features (..., n, K) of the torques that are learned; none here."""
        return jnp.zeros((*q.shape, 0), q.dtype)

    def believed(self, belief: Belief, posterior: Array) -> Plant:
        """The plant to act upon."""
        return self.filter.plant(mixed(posterior, belief.mean))

    def posterior(self, evidence: Array) -> Array:
        """Probability of every delay (..., H)."""
        return self.bank.posterior(evidence)

    def joint_torques(self, plant: Plant, q: Array, qd: Array) -> Array:
        """Viscous and dry friction and what was learned, at some joint states (..., n), N m."""
        rubbing = plant.viscous * qd + plant.dry * self.filter.direction(qd)
        return rubbing + jnp.sum(plant.learned * self.learned(q, qd), axis=-1)

    def caution(self, belief: Belief) -> Array:
        """How far out of its depth it is, in [0, 1].

        Because the delay is longer than it can act upon, motors are at their bounds, or motion cannot be explained.
        """
        _, beyond = self.bank.acted_upon(self.posterior(belief.evidence))
        strange = jax.nn.sigmoid(4 * (jnp.log(belief.surprise + 1e-6) - self.log_alarm[...]))
        full = jax.nn.sigmoid(20 * (belief.saturation - 0.3))
        return jax.lax.stop_gradient(1 - (1 - beyond) * (1 - strange) * (1 - full))

    def reopened(self, belief: Belief) -> Array:
        """Variance (...) by which all parameters become uncertain again, in prior variances.

        Where motion is not explained for long the plant is another one: a load was picked up or dropped, something
        pushes. One blow is no reason, nor is a delay that cannot be acted upon.
        """
        _, beyond = self.bank.acted_upon(self.posterior(belief.evidence))
        excess = jnp.clip(belief.surprise / SURPRISING - 1, 0, 10)
        return jax.lax.stop_gradient(REOPENED * excess * (1 - beyond))

    def estimates(self, carry: Belief) -> Estimates:
        """What is believed after a step."""
        posterior = self.posterior(carry.evidence)
        mean = mixed(posterior, carry.mean)
        plant, (load, viscous, dry) = self.filter.plant(mean), self.filter.deviations(carry.covariance)
        return Estimates(
            plant.load[..., 0],
            load[..., 0],
            plant.viscous,
            viscous,
            plant.dry,
            dry,
            posterior,
            self.caution(carry),
        )

    def model_loss(self, carry: Belief) -> Array:
        """Minus the log-likelihood of the newest innovations, nats per joint."""
        return carry.loss

    def _roughness(self, carry: Belief, newest: Array) -> Array:
        """Variance of the velocities' noise over the usual one, after innovations (..., n).

        A velocity measured too high makes one acceleration too high and the next too low: what of successive
        innovations has opposite signs is noise, what has the same is a wrong model. It grows where all of them is
        noise, and more than was expected.
        """
        opposed = -2 * jnp.mean(jnp.clip(newest * carry.white, -STRANGEST, STRANGEST), axis=-1)
        return jnp.clip(carry.roughness * (1 + ROUGHENED * (opposed - 1)), 1.0, ROUGHEST)

    def _measured(self, seen: Seen, believed: Array) -> tuple[Array, Array]:
        """What the last control step measured.

        believed: (..., m) mean until now -> Y (..., n, m) and, under every delay, y (..., H, n) N m.
        """
        q, qd = self.last_middle(seen)
        Y = self.filter.columns(seen.past, qd, self.learned(q, qd), believed)
        level = jnp.sum(seen.past.links, axis=-1) - matvec(seen.past.gravity, seen.tilt)
        return Y, jax.lax.stop_gradient(seen.commands) - level[..., None, :]

    def _learn(self, carry: Belief, seen: Seen, believed: Array, plant: Plant) -> Belief:
        """What the last control step says of parameters and delay; nothing at the first.

        believed: (..., m) mean until now; plant: what it says. Motion and command are data. Where they are not, the
        gradient believes that a command could change what was measured after it without moving the arm, and grows
        without bound.
        """
        new = carry.step > 0
        prior = self.posterior(carry.evidence)
        Y, y = self._measured(seen, believed)
        R = self.filter.noise(inertia(plant, seen.M, seen.past), self.last_middle(seen).qd, plant.dry, carry.roughness)
        P = carry.covariance + self.reopened(carry)[..., None, None] * jnp.eye(self.filter.size)
        mean, P, white, spread, sure = self.filter.update(carry.mean, P, Y, R, y)
        wrong = jnp.sum(misfit(white), axis=-1)
        likelihood = jax.nn.logsumexp(jnp.log(prior + 1e-9) - wrong, axis=-1)
        evidence = jax.lax.stop_gradient(self.bank.weigh(carry.evidence, wrong))
        newest = jax.lax.stop_gradient(mixed(self.posterior(evidence), white))
        best = jnp.mean(newest**2, axis=-1)
        surprise = AVERAGED * carry.surprise + (1 - AVERAGED) * jnp.minimum(best, STRANGEST)
        learnt = carry._replace(
            mean=mean,
            covariance=P,
            evidence=evidence,
            white=newest,
            roughness=jax.lax.stop_gradient(self._roughness(carry, newest)),
            surprise=jax.lax.stop_gradient(surprise),
            sure=jax.lax.stop_gradient(sure),
            loss=(0.5 * spread - likelihood) / self.arm.n,
        )
        kept = carry._replace(loss=jnp.zeros_like(carry.loss))
        return jax.tree.map(lambda x, old: jnp.where(_like(new, x), x, old), learnt, kept)


def _like(mask: Array, x: Array) -> Array:
    """A mask (...) with as many axes as x, whose leading ones it shares."""
    return mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))
