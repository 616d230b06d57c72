"""Proximal policy optimisation in one file, on the vector environments as Gymnasium has them: Flax, optax, no library.

After Schulman et al. (2017), with the details that "The 37 Implementation Details of PPO" (Huang et al. 2022) found to
matter. Observations are normalised by their running statistics, arms start the next episode in the step after an
episode's end, which is left out, and what an episode that is cut off might still have brought is estimated. Prints what
the mean action achieves in PyBullet.

    python experiments/ppo.py
    python experiments/ppo.py --id armctl/PandaTrack-v1 --control velocity --control-dt 0.01 --steps 3000000
"""

import sys
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx

import armctl
from armctl.errors import UsageError


@dataclass(frozen=True)
class Args:
    """What is learned, and how."""

    id: str = "armctl/PandaReach-v1"
    """Environment."""
    control: str = "ee_twist"
    """Control mode."""
    control_dt: float = 0.04
    """Time an action is held, s."""
    backend: str = "twin"
    """Where it learns; it is judged in PyBullet."""
    steps: int = 2_500_000
    """Environment steps of all arms together."""
    arms: int = 256
    """Arms side by side."""
    rollout: int = 32
    """Steps of every arm between updates."""
    epochs: int = 8
    """Passes through what was seen, per update."""
    minibatches: int = 4
    """Parts of it, each of which makes a step."""
    rate: float = 2e-3
    """Learning rate, which falls linearly to 0."""
    gamma: float = 0.95
    """Discount per step."""
    lam: float = 0.95
    """Discount of the advantage estimator."""
    clip: float = 0.2
    """Largest change of an action's probability that is rewarded."""
    width: int = 128
    """Units of each of the two layers."""
    episodes: int = 64
    """Episodes of the judgement in PyBullet."""
    seed: int = 0
    """Seed of weights, goals and plants."""


class Agent(nnx.Module):
    """A Gaussian over actions and a value, of observations (..., m)."""

    def __init__(self, size: int, actions: int, width: int, rngs: nnx.Rngs) -> None:
        def network(last: int, scale: float) -> nnx.Sequential:
            def layer(a: int, b: int, scale: float) -> nnx.Linear:
                return nnx.Linear(a, b, kernel_init=nnx.initializers.orthogonal(scale), rngs=rngs)

            return nnx.Sequential(
                layer(size, width, 2**0.5), nnx.elu, layer(width, width, 2**0.5), nnx.elu, layer(width, last, scale)
            )

        self.mean, self.value = network(actions, 0.01), network(1, 1.0)
        self.log_std = nnx.Param(jnp.zeros(actions))

    def log_probability(self, x: Any, action: Any) -> Any:
        """Of actions (..., a), but for a constant."""
        apart = (action - self.mean(x)) * jnp.exp(-self.log_std[...])
        return -0.5 * jnp.sum(apart**2, axis=-1) - jnp.sum(self.log_std[...])


class Seen(NamedTuple):
    """What was seen, (T, B, ...)."""

    x: Any
    action: Any
    log_probability: Any
    advantage: Any
    target: Any
    counts: Any


class Scale:
    """Mean and variance of all that was shown to it."""

    def __init__(self, size: int) -> None:
        self.mean, self.var, self.count = np.zeros(size), np.ones(size), 1e-4

    def __call__(self, x: np.ndarray, learn: bool = True) -> np.ndarray:
        """x (B, m) in standard deviations from the mean, at most 10."""
        if learn:
            total, apart = self.count + len(x), x.mean(0) - self.mean
            both = self.var * self.count + x.var(0) * len(x) + apart**2 * self.count * len(x) / total
            self.mean, self.var, self.count = self.mean + apart * len(x) / total, both / total, total
        return np.clip((x - self.mean) / np.sqrt(self.var + 1e-8), -10, 10).astype(np.float32)


def flat(observation: dict[str, np.ndarray]) -> np.ndarray:
    """The dictionary's entries as one array (B, m)."""
    return np.concatenate([observation[key] for key in sorted(observation)], axis=-1)


def make(args: Args, arms: int, backend: str) -> gym.vector.VectorEnv:
    """The arms."""
    steps = {"max_episode_steps": 100} if "Reach" in args.id else {}
    return armctl.make_vec(
        args.id, arms, backend=backend, control=args.control, control_dt=args.control_dt, seed=args.seed, **steps
    )


@nnx.jit
def act(agent: Agent, x: Any, key: Any) -> tuple[Any, Any, Any]:
    """An action drawn, its log-probability, and the value."""
    mean = agent.mean(x)
    action = mean + jnp.exp(agent.log_std[...]) * jax.random.normal(key, mean.shape)
    return action, agent.log_probability(x, action), agent.value(x)[..., 0]


@jax.jit
def advantages(reward: Any, value: Any, following: Any, ended: Any, gamma: float, lam: float) -> Any:
    """Generalised advantage estimates (T, B); an episode that was cut off is worth its last value."""

    def back(carry: Any, step: Any) -> tuple[Any, Any]:
        delta, ended = step
        carry = delta + gamma * lam * (1 - ended) * carry
        return carry, carry

    delta = reward + gamma * following - value
    return jax.lax.scan(back, jnp.zeros_like(reward[0]), (delta, ended), reverse=True)[1]


def objective(agent: Agent, seen: Seen, clip: float) -> Any:
    """The clipped surrogate and the error of the value, over the steps that count."""
    weight = seen.counts / jnp.sum(seen.counts)
    ratio = jnp.exp(agent.log_probability(seen.x, seen.action) - seen.log_probability)
    mean = jnp.sum(weight * seen.advantage)
    gain = (seen.advantage - mean) / (jnp.sqrt(jnp.sum(weight * (seen.advantage - mean) ** 2)) + 1e-8)
    surrogate = jnp.minimum(ratio * gain, jnp.clip(ratio, 1 - clip, 1 + clip) * gain)
    return jnp.sum(weight * (0.5 * (agent.value(seen.x)[..., 0] - seen.target) ** 2 - surrogate))


def make_update(args: Args, size: int) -> Any:
    """What makes all the steps of an update in one program."""

    def step(carry: tuple[Agent, nnx.Optimizer], seen: Seen) -> tuple[tuple[Agent, nnx.Optimizer], Any]:
        agent, optimizer = carry
        loss, grads = nnx.value_and_grad(objective)(agent, seen, args.clip)
        optimizer.update(agent, grads)
        return (agent, optimizer), loss

    @nnx.jit
    def update(agent: Agent, optimizer: nnx.Optimizer, seen: Seen, key: Any) -> Any:
        whole = jax.tree.map(lambda x: x.reshape(size, *x.shape[2:]), seen)
        orders = jax.vmap(lambda key: jax.random.permutation(key, size))(jax.random.split(key, args.epochs))
        parts = orders.reshape(args.epochs * args.minibatches, -1)
        (agent, optimizer), losses = nnx.scan(step, in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))(
            (agent, optimizer), jax.tree.map(lambda x: x[parts], whole)
        )
        return losses.mean()

    return update


def judge(args: Args, agent: Agent, scale: Scale) -> tuple[float, float]:
    """Share of episodes that end in success in PyBullet, and the median of their last position error, m."""
    envs = make(args, 16, "bullet")
    observation, _ = envs.reset(seed=args.seed + 1)
    mean, ended = nnx.jit(lambda agent, x: agent.mean(x)), list[tuple[float, float]]()
    while len(ended) < args.episodes:
        action = np.clip(mean(agent, scale(flat(observation), learn=False)), -1, 1)
        observation, _, terminated, truncated, info = envs.step(np.asarray(action))
        for i in np.flatnonzero(terminated | truncated):
            ended.append((float(info["is_success"][i]), float(info["position_error"][i])))
    envs.close()
    success, error = np.array(ended[: args.episodes]).T
    return float(success.mean()), float(np.median(error))


def main(args: Args) -> None:
    """Learn, print as it goes, judge at the end."""
    envs, key = make(args, args.arms, args.backend), jax.random.key(args.seed)
    observation, _ = envs.reset(seed=args.seed)
    scale = Scale(flat(observation).shape[-1])
    x, done = scale(flat(observation)), np.zeros(args.arms, bool)
    agent = Agent(x.shape[-1], len(envs.single_action_space.sample()), args.width, nnx.Rngs(args.seed))
    updates = args.steps // (args.arms * args.rollout)
    rate = optax.linear_schedule(args.rate, 0.0, updates * args.epochs * args.minibatches)
    optimizer = nnx.Optimizer(agent, optax.chain(optax.clip_by_global_norm(0.5), optax.adam(rate)), wrt=nnx.Param)
    update, began = make_update(args, args.arms * args.rollout), time.perf_counter()
    for number in range(1, updates + 1):
        rows: list[tuple[Any, ...]] = []
        for _ in range(args.rollout):
            key, own = jax.random.split(key)
            action, log_probability, value = act(agent, x, own)
            observation, reward, terminated, truncated, info = envs.step(np.clip(action, -1, 1))
            after = scale(flat(observation))
            _, _, following = act(agent, after, own)  # of an episode's end too: this is its last observation
            ended = terminated | truncated
            rows.append((x, action, log_probability, reward, value, following * ~terminated, ended, ~done))
            x, done = after, ended  # the next step of an arm that ended brings its next start, whatever its action
        xs, actions, logs, rewards, values, followings, ends, counts = (
            jnp.stack([jnp.asarray(one, jnp.float32) for one in column]) for column in zip(*rows, strict=True)
        )
        gain = advantages(rewards, values, followings, ends, args.gamma, args.lam)
        key, own = jax.random.split(key)
        update(agent, optimizer, Seen(xs, actions, logs, gain, gain + values, counts), own)
        if number % max(1, updates // 10) == 0:
            steps, error = number * args.arms * args.rollout, 1000 * np.median(info["position_error"])
            rate_now = steps / (time.perf_counter() - began)
            print(f"{steps} steps, {rate_now:,.0f}/s: reward {rewards.mean():.3f}, {error:.1f} mm now", flush=True)
    envs.close()
    success, error = judge(args, agent, scale)
    print(f"in PyBullet: {success:.0%} of {args.episodes} episodes end in success, {1000 * error:.1f} mm in the median")


if __name__ == "__main__":  # the processes of PyBullet import this file
    try:
        main(tyro.cli(Args))
    except UsageError as problem:
        sys.exit(str(problem))
