"""The tracker that goes on learning where it is deployed: torques that repeat with an arm's posture, and its alone.

Training sees arms of a kind; another arm's cogging has another phase. What the filters and the network leave
unexplained, against a belief that cannot follow it, is fitted by harmonics of every joint's position (normalised least
mean squares, Widrow and Hoff 1960): at a bounded rate, up to a bounded torque, and not while the controller is out of
its depth. It lasts for an episode; `remember` makes it last, `forget` takes it back.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from armctl.arm import Arm
from armctl.controllers.base import OUT_OF_DEPTH
from armctl.controllers.believed_plant import Plant
from armctl.controllers.certainty_equivalence import Seen
from armctl.controllers.feedback import mixed
from armctl.controllers.filter_bank import Belief
from armctl.controllers.learned_torques import PERIODS, harmonics
from armctl.controllers.tracker import Tracker
from armctl.geometry import matvec
from armctl.typing import Array

RATE = 0.02
"""Share of what is unexplained that is learned in a control step."""
LARGEST = 0.03
"""Of a torque that is learned, in efforts."""
SLOWLY = 0.03
"""Share of the newest mean in the slow one, per control step."""
SETTLED = 100
"""Control steps before which the slow belief, against which torques are unexplained, is not where it will stay."""


class OnlineTracker(Tracker):
    """Tracker + harmonics of joint position that are fitted on the plant itself."""

    name = "tracker_online"
    title = "Learned tracker, learning on"
    family = "learned"
    policy = Tracker.name

    def __init__(self, arm: Arm, control_dt: float = 0.01, preview: int = 7, seed: int = 0) -> None:
        super().__init__(arm, control_dt, preview, seed)
        self.habit = nnx.Variable(jnp.zeros((arm.n, 2 * (PERIODS[1] - PERIODS[0] + 1))))

    def remember(self, carry: Belief) -> None:
        """Begin the next episodes with what was learned in those of a memory (...): their mean."""
        self.habit[...] = jnp.mean(carry.habit.reshape(-1, *self.habit[...].shape), axis=0)

    def forget(self) -> None:
        """Begin the next episodes as trained."""
        self.habit[...] = jnp.zeros_like(self.habit[...])

    def init_carry(self, batch: tuple[int, ...] = ()) -> Belief:
        """As the tracker's, with what was remembered."""
        habit = jnp.broadcast_to(self.habit[...], (*batch, *self.habit[...].shape))
        return super().init_carry(batch)._replace(slow=jnp.zeros((*batch, self.filter.size)), habit=habit)

    def believed(self, belief: Belief, posterior: Array) -> Plant:
        """The plant to act upon; what is learned here is one more learned torque."""
        plant = super().believed(belief, posterior)
        return plant._replace(learned=jnp.concatenate([plant.learned, belief.habit], axis=-1))

    def joint_torques(self, plant: Plant, q: Array, qd: Array) -> Array:
        """Those of the tracker, and what was learned here."""
        weights, habit = plant.learned[..., : self.FEATURES], plant.learned[..., self.FEATURES :]
        return super().joint_torques(plant._replace(learned=weights), q, qd) + jnp.sum(habit * harmonics(q), axis=-1)

    def _learn(self, carry: Belief, seen: Seen, believed: Array, plant: Plant) -> Belief:
        """The filters explain what the habit does not; of what they leave, the habit takes a share."""
        basis = harmonics(self.last_middle(seen).q)
        usual = jnp.sum(carry.habit * basis, axis=-1)
        seen = seen._replace(commands=seen.commands - usual[..., None, :])
        belief = super()._learn(carry, seen, believed, plant)
        delays = self.posterior(carry.evidence)
        slow = jax.lax.stop_gradient(carry.slow + SLOWLY * (mixed(delays, belief.mean) - carry.slow))
        Y, y = self._measured(seen, believed)
        rest = mixed(delays, y) - matvec(Y, self.filter.prior + carry.slow)
        largest = LARGEST * self.arm.effort
        step = RATE * jnp.clip(rest, -largest, largest)[..., None] * basis / jnp.sum(basis**2, axis=-1, keepdims=True)
        may = (carry.step > SETTLED) & (self.caution(belief) < OUT_OF_DEPTH)
        habit = carry.habit + jnp.where(may[..., None, None], step, 0.0)
        size = jnp.sqrt(jnp.sum(habit**2, axis=-1, keepdims=True)) + 1e-9
        bounded = habit * jnp.minimum(1.0, largest[..., None] / size)
        return belief._replace(slow=slow, habit=jax.lax.stop_gradient(bounded))
