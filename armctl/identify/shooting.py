"""Multiple shooting: a log cut into short windows, each predicted by the twin from a free initial state.

A window of L samples is compared sample by sample with what the twin does from x0 = (q, qd) under the window's
commands, so that the errors of a noisy log are the sensors' alone; each sample belongs to one window. Derivatives are
the twin's own reverse-mode ones of single control steps, chained along the window: S(k+1) = A(k) S(k) + B(k).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from armctl import rigid, twin
from armctl.arm import Arm
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.identify import parameters
from armctl.identify.log import RolloutLog
from armctl.identify.parameters import Parameters
from armctl.plant.servo import ServoConfig, neutral_command
from armctl.typing import Array


class Windows(NamedTuple):
    """W windows of L samples; x is (q, qd) measured, the command of the last sample of a window is not used."""

    x: np.ndarray  # (W, L, 2n) rad, rad/s
    command: np.ndarray  # (W, L, m) in effect from each sample on, delay taken out


def cut(chain: Chain, logs: list[RolloutLog], length: int, latency: int) -> Windows:
    """Windows of `length` samples of every log; what is left at the end of a log is dropped.

    latency: control steps between a command and its effect; the first ones see the neutral command of the servo.
    Raises UsageError if no log is as long as a window.
    """
    xs: list[np.ndarray] = []
    commands: list[np.ndarray] = []
    for log in logs:
        neutral = neutral_command(log.control, rigid.gravity(chain, log.q[0]))
        delayed = np.concatenate([np.tile(neutral, (latency, 1)), log.command])[: len(log.command)]
        effective = np.concatenate([delayed, delayed[-1:]])
        count = len(log.q) // length
        for whole, array in ((xs, np.concatenate([log.q, log.qd], axis=1)), (commands, effective)):
            whole.append(array[: count * length].reshape(count, length, array.shape[1]))
    windows = Windows(np.concatenate(xs), np.concatenate(commands))
    if len(windows.x) == 0:
        longest = max(len(log.q) for log in logs)
        raise UsageError(f"A window of {length} samples is longer than the longest log ({longest}); shorten it.")
    return windows


def _step(
    arm: Arm, config: ServoConfig, items: Parameters, rubs: bool, theta: Array, x: Array, command: Array
) -> Array:
    """One control step of the twin: x (2n,), command (m,) -> (2n,)."""
    q, qd = jnp.split(x, 2, axis=-1)
    params = parameters.plant(arm, items, parameters.physical(items, theta), rubs)
    state = twin.reset(arm, config, q, qd, params)
    after, _ = twin.step(arm, config, params, state, command, stops=False)
    return jnp.concatenate([after.q, after.qd], axis=-1)


@partial(jax.jit, static_argnames=("config", "items", "rubs"))
def predict(
    arm: Arm, config: ServoConfig, items: Parameters, theta: Array, x0: Array, command: Array, rubs: bool = True
) -> Array:
    """What the twin says of every window. theta: (p,); x0: (W, 2n); command: (W, L, m) -> (W, L, 2n).

    rubs: as in parameters.plant.
    """

    def advance(x: Array, u: Array) -> tuple[Array, Array]:
        return _step(arm, config, items, rubs, theta, x, u), x

    _, x = jax.lax.scan(advance, x0, command.swapaxes(0, 1))
    return x.swapaxes(0, 1)


@partial(jax.jit, static_argnames=("config", "items", "rubs"))
def sensitivities(
    arm: Arm, config: ServoConfig, items: Parameters, theta: Array, x: Array, command: Array, rubs: bool = True
) -> tuple[Array, Array]:
    """Derivatives of `predict` along its own trajectory.

    theta: (p,); x: (W, L, 2n) as `predict` returned it; command: (W, L, m) -> by the initial state (W, L, 2n, 2n) and
    by theta (W, L, 2n, p).
    """
    W, L, d = x.shape
    one_step = jax.jacrev(partial(_step, arm, config, items, rubs), argnums=(0, 1))
    flat = x[:, :-1].reshape(-1, d), command[:, :-1].reshape(W * (L - 1), -1)
    by_theta, by_x = jax.vmap(one_step, in_axes=(None, 0, 0))(theta, *flat)
    A, B = (y.reshape(W, L - 1, d, -1).swapaxes(0, 1) for y in (by_x, by_theta))

    def chain_rule(carry: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
        carry = step[0] @ carry
        carry = carry.at[..., d:].add(step[1])
        return carry, carry

    start = jnp.concatenate([jnp.eye(d, dtype=x.dtype), jnp.zeros((d, len(theta)), x.dtype)], axis=-1)
    start = jnp.broadcast_to(start, (W, *start.shape))
    _, S = jax.lax.scan(chain_rule, start, (A, B))
    S = jnp.concatenate([start[:, None], S.swapaxes(0, 1)], axis=1)
    return S[..., :d], S[..., d:]
