"""Whether the twin's gradient is PyBullet's, and how fast rollouts amplify what goes into them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from armctl import kinematics, rigid, twin
from armctl.arm import Arm
from armctl.audit.exercise import make_swing, policy
from armctl.audit.rollouts import Episode, record
from armctl.chain import Chain
from armctl.envs.bullet.plant import Plant
from armctl.plant.action import action_scale
from armctl.plant.scenario import PlantParams, Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.twin.step import TwinState
from armctl.typing import Array

OFFSET = 0.1
"""The goal of the audited loss: the tip's pose this far from the start in every joint, rad."""
HORIZONS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def tracking_loss(T: Array, goal: Array) -> Array:
    """Sum over a trajectory of squared distance (m^2) and a hundredth of the squared chord (rad^2) to a goal pose.

    T: (K, 4, 4); goal: (4, 4) -> scalar.
    """
    distance = ((T[:, :3, 3] - goal[:3, 3]) ** 2).sum()
    return distance + 0.01 * ((T[:, :3, :3] - goal[:3, :3]) ** 2).sum() / 2


def gradient_parity(
    chain: Chain,
    config: ServoConfig,
    steps: int = 20,
    tick: Callable[[], object] = lambda: None,
    scenario: Scenario | None = None,
    step: float = 1e-5,
) -> dict[str, float]:
    """Gradient of a tracking loss over a window of commands: jax.grad of the twin against differences of PyBullet.

    The gradient is with respect to every command, each as a fraction of its full scale. PyBullet's is by central
    differences at two step sizes and Richardson extrapolation. steps: control steps of the window; tick: called after
    every pair of PyBullet rollouts; scenario: the true plant, nominal when None; step: the smaller step size, to be
    smaller still where dry friction makes kinks that differences must not straddle -> cosine, relative_error, and
    difference_error: the same of the two step sizes, which says how far the differences themselves can be trusted.
    """
    swing, scale = make_swing(chain), action_scale(chain, config)
    episode = record(chain, config, scenario or Scenario(), policy(chain, config, swing), steps, q0=swing.q0)
    goal = rigid.forward_kinematics(chain, swing.q0 + OFFSET)
    exact = _twin_gradient(chain, episode, goal) * scale
    wide, narrow = (_plant_gradient(chain, episode, goal, scale, h, tick) for h in (2 * step, step))
    finite = (4 * narrow - wide) / 3
    size = np.linalg.norm(finite)
    return {
        "cosine": float(np.sum(exact * finite) / np.linalg.norm(exact) / size),
        "relative_error": float(np.linalg.norm(exact - finite) / size),
        "difference_error": float(np.linalg.norm(narrow - wide) / size),
    }


def _twin_gradient(chain: Chain, episode: Episode, goal: np.ndarray) -> np.ndarray:
    """Derivative of the loss by the commands (K, m)."""
    config = episode.config

    # the arm is an argument, so that arms of as many joints share what the compiler keeps on disk
    def loss(commands: Array, arm: Arm, params: PlantParams, q0: Array) -> Array:
        def step(state: TwinState, command: Array) -> tuple[TwinState, Array]:
            state, _ = twin.step(arm, config, params, state, command)
            return state, kinematics.forward_kinematics(arm, state.q)

        T = jax.lax.scan(step, twin.reset(arm, config, q0, params=params), commands)[1]
        return tracking_loss(T, goal)

    with jax.enable_x64(True):
        arm, params = Arm.from_chain(chain), plant_params(chain, episode.scenario)
        return np.asarray(jax.jit(jax.grad(loss))(episode.commands, arm, params, episode.q0))


def _plant_gradient(
    chain: Chain, episode: Episode, goal: np.ndarray, scale: np.ndarray, h: float, tick: Callable[[], object]
) -> np.ndarray:
    """Central differences of the loss in PyBullet by the commands, in units of their full scale, (K, m)."""
    plant = Plant(chain, episode.config)

    def loss(commands: np.ndarray) -> float:
        plant.reset(episode.scenario, episode.q0, np.zeros(chain.n))
        states = []
        for command in commands:
            plant.step(command)
            states.append(plant.q)
        return tracking_loss(rigid.forward_kinematics(chain, np.array(states)), goal)

    slopes = np.zeros(episode.commands.shape)
    try:
        for k, i in np.ndindex(*slopes.shape):
            move = np.zeros_like(slopes)
            move[k, i] = h * scale[i]
            slopes[k, i] = (loss(episode.commands + move) - loss(episode.commands - move)) / (2 * h)
            tick()
    finally:
        plant.close()
    return slopes


def growth(chain: Chain, episode: Episode) -> dict[int, float]:
    """How much a perturbation of the joint state grows over a rollout: horizon (control steps) -> factor.

    The factor is the largest singular value of d(q, qd) after the horizon / d(q, qd) at the start, in rad and rad/s,
    along the states of the episode, whose commands are held fixed.
    """
    config = episode.config
    q = np.concatenate([episode.q0[None], episode.q[:-1]])
    qd = np.concatenate([0 * episode.q0[None], episode.qd[:-1]])

    def step(x: Array, target: Array, command: Array, arm: Arm, params: PlantParams) -> Array:
        start = twin.reset(arm, config, x[..., : chain.n], x[..., chain.n :], params)._replace(target=target)
        state, _ = twin.step(arm, config, params, start, command, stops=False)
        return jnp.concatenate([state.q, state.qd], axis=-1)

    # one copy of the batch per row of the Jacobian: far less to compile than a vmap of the derivative
    def rows(x: Array, target: Array, command: Array, arm: Arm, params: PlantParams) -> Array:
        x, target, command = (jnp.tile(a, (2 * chain.n, 1, 1)) for a in (x, target, command))
        pull = jax.vjp(lambda x: step(x, target, command, arm, params), x)[1]
        return pull(jnp.eye(2 * chain.n)[:, None] * jnp.ones_like(x))[0].swapaxes(0, 1)

    with jax.enable_x64(True):
        arm, params = Arm.from_chain(chain), plant_params(chain, episode.scenario)
        x = np.concatenate([q, qd], axis=1)
        slopes = jax.jit(rows)(x, _targets(chain, episode), episode.commands, arm, params)
    total, factors = np.eye(2 * chain.n), {}
    for k, slope in enumerate(np.asarray(slopes), start=1):
        total = slope @ total
        if k in HORIZONS:
            factors[k] = float(np.linalg.norm(total, 2))
    return factors


def _targets(chain: Chain, episode: Episode) -> np.ndarray:
    """Target of position control before each control step (K, n); of no consequence in the other modes."""
    if episode.config.control != "position":
        return np.tile(episode.q0, (len(episode.q), 1))
    targets = [episode.q0]
    for command in episode.commands[:-1]:
        targets.append(np.clip(targets[-1] + command, chain.lower, chain.upper))
    return np.array(targets)
