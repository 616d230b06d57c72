"""How far the twin is from PyBullet: the same arm, the same states, the same commands through both, side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from armctl import dynamics, geometry, kinematics, rigid, twin
from armctl.arm import Arm
from armctl.chain import Chain, joint_box
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.plant import Plant
from armctl.plant.scenario import PlantParams, Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.twin import motors
from armctl.twin.step import TwinState
from armctl.typing import Array

Policy = Callable[[int, np.ndarray, np.ndarray], np.ndarray]
"""Command (m,) of control step k at joint state q, qd (n,)."""


@dataclass(frozen=True)
class Episode:
    """What PyBullet did: start q0 (n,), states q, qd (K, n) after each control step, commands (K, m)."""

    config: ServoConfig
    scenario: Scenario
    motor: str
    q0: np.ndarray
    q: np.ndarray
    qd: np.ndarray
    commands: np.ndarray


def record(
    chain: Chain,
    config: ServoConfig,
    scenario: Scenario,
    policy: Policy,
    steps: int,
    *,
    q0: np.ndarray | None = None,
    motor: str = "servo",
) -> Episode:
    """Drive PyBullet from rest at q0 (n,), home when None, by a policy of what its sensors say, for `steps` steps.

    Start and commands are rounded to single precision, as controllers' are, so that twins of either get the same.
    """
    q0 = _single(chain.home if q0 is None else q0)
    plant, states, commands = Plant(chain, config, motor), [], []
    try:
        plant.reset(scenario, q0, np.zeros(chain.n))
        for k in range(steps):
            commands.append(_single(policy(k, *plant.measure())))
            plant.step(commands[-1])
            states.append((plant.q.copy(), plant.qd.copy()))
    finally:
        plant.close()
    q, qd = (np.array(x) for x in zip(*states, strict=True))
    return Episode(config, scenario, motor, q0, q, qd, np.array(commands))


def _single(x: ArrayLike) -> np.ndarray:
    """The nearest numbers of single precision, in double."""
    return np.asarray(x, np.float32).astype(float)


def replay(chain: Chain, episode: Episode, dtype: DTypeLike = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Joint states of the twin under the commands of an episode: q (K, n) rad, qd (K, n) rad/s."""
    config, drive = episode.config, motors.step if episode.motor == "bullet" else twin.step

    def run(arm: Arm, params: PlantParams, q0: Array, commands: Array) -> tuple[Array, Array]:
        def step(state: TwinState, command: Array) -> tuple[TwinState, tuple[Array, Array]]:
            state, _ = drive(arm, config, params, state, command)
            return state, (state.q, state.qd)

        return jax.lax.scan(step, twin.reset(arm, config, q0, params=params), commands)[1]

    with jax.enable_x64(dtype == np.float64):
        arm = Arm.from_chain(chain).astype(dtype)
        params = plant_params(chain, episode.scenario)
        params = jax.tree.map(lambda x: x.astype(dtype) if x.dtype.kind == "f" else x, params)
        q, qd = jax.jit(run)(arm, params, episode.q0.astype(dtype), episode.commands.astype(dtype))
    return np.asarray(q), np.asarray(qd)


def replay_batch(
    chain: Chain, config: ServoConfig, plants: PlantParams, q0: np.ndarray, commands: np.ndarray
) -> np.ndarray:
    """Joint positions of twins with servo motors under commands, in float64 and compiled together.

    plants: (S, ...); q0: (S, n) rad, from rest; commands: (S, K, m) -> (S, K, n) rad after every control step.
    """
    with jax.enable_x64(True):
        q = _positions(Arm.from_chain(chain), config, plants, q0, commands.swapaxes(0, 1))
    return np.asarray(q).swapaxes(0, 1)


@partial(jax.jit, static_argnums=1)
def _positions(arm: Arm, config: ServoConfig, plants: PlantParams, q0: Array, commands: Array) -> Array:
    def step(state: TwinState, command: Array) -> tuple[TwinState, Array]:
        state, _ = twin.step(arm, config, plants, state, command)
        return state, state.q

    return jax.lax.scan(step, twin.reset(arm, config, q0, params=plants), commands)[1]


def torque_parity(chain: Chain, scenario: Scenario | None = None, steps: int = 100, seed: int = 0) -> dict[str, float]:
    """Largest difference between twin (float64) and PyBullet under random torques that keep the arm inside its limits.

    chain: the arm; scenario: the true plant, nominal when None; steps: control steps of 5 physics steps of 2 ms.
    -> max_joint_error_rad, max_joint_velocity_error_rad_s, the number of physics steps and largest motion, rad.
    """
    rng, config = np.random.default_rng(seed), ServoConfig(control="torque")

    def policy(k: int, q: np.ndarray, qd: np.ndarray) -> np.ndarray:
        wanted = rng.uniform(-20, 20, chain.n) - 2 * (q - chain.home) - 0.5 * qd
        return np.clip(rigid.inverse_dynamics(chain, q, qd, wanted), -chain.effort, chain.effort)

    episode = record(chain, config, scenario or Scenario(), policy, steps)
    q, qd = replay(chain, episode)
    return {
        "max_joint_error_rad": float(np.abs(q - episode.q).max()),
        "max_joint_velocity_error_rad_s": float(np.abs(qd - episode.qd).max()),
        "physics_steps": steps * config.substeps,
        "largest_motion_rad": float(np.abs(episode.q - chain.home).max()),
    }


def state_parity(chain: Chain, count: int = 20, seed: int = 0) -> dict[str, float]:
    """Largest differences between the JAX functions (float64) and PyBullet over random joint states.

    Keys: fk_position_m, fk_rotation_rad, and relative to the largest entry of PyBullet's result: jacobian, mass_matrix,
    bias (Coriolis and gravity torque), step (joint acceleration of one physics step under a random torque).
    """
    rng, n = np.random.default_rng(seed), chain.n
    low, high = joint_box(chain)
    q = rng.uniform(low, high, (count, n))
    qd = 0.3 * chain.velocity * rng.normal(size=(count, n))
    tau = chain.effort * rng.uniform(-0.3, 0.3, (count, n))
    body = ArmBody(chain, physics_dt=1e-3)
    try:
        rows = [_pybullet_state(body, *row) for row in zip(q, qd, tau, strict=True)]
    finally:
        body.close()
    pose, J, M, bias, qdd = (np.array(x) for x in zip(*rows, strict=True))
    with jax.enable_x64(True):
        T, *said = map(np.asarray, jax.jit(_twin_state)(Arm.from_chain(chain), q, qd, tau))
    R = geometry.quat_to_matrix(pose[:, 3:])
    return {
        "fk_position_m": float(np.abs(T[:, :3, 3] - pose[:, :3]).max()),
        "fk_rotation_rad": float(geometry.orientation_angle(R, T[:, :3, :3]).max()),
        **{name: _relative(x, y) for name, x, y in zip(STATE_CHECKS, said, (J, M, bias, qdd), strict=True)},
    }


STATE_CHECKS = ("jacobian", "mass_matrix", "bias", "step")


def _pybullet_state(body: ArmBody, q: np.ndarray, qd: np.ndarray, tau: np.ndarray) -> tuple[np.ndarray, ...]:
    """Tip pose (7,), Jacobian, mass matrix, bias torque and the acceleration of one step, of a body."""
    body.reset(q, qd)
    position, quat = body.tip()
    M, bias = body.mass_and_gravity(q)[0], body.inverse_dynamics(q, qd, 0 * q)
    J = body.jacobian(q)
    body.set_torque(forces=tau.tolist())
    body.step()
    return np.array(position + quat), J, M, bias, (body.state()[1] - qd) / body.physics_dt


def _twin_state(arm: Arm, q: Array, qd: Array, tau: Array) -> tuple[Array, ...]:
    """The same of the JAX functions: tip pose (B, 4, 4) and the rest."""
    T, J = kinematics.pose_and_jacobian(arm, q)
    bias = dynamics.inverse_dynamics(arm, q, qd, 0 * q)
    return T, J, dynamics.mass_matrix(arm, q), bias, dynamics.forward_dynamics(arm, q, qd, tau)


def _relative(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.abs(x - y).max() / np.abs(y).max())
