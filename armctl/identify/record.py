"""Logs from PyBullet: an arm under a scenario follows an excitation by computed torque on its nominal model."""

from collections.abc import Callable

import numpy as np

from armctl import rigid
from armctl.chain import Chain
from armctl.envs.bullet.plant import Plant
from armctl.envs.bullet.self_collision import SelfCollision
from armctl.errors import UsageError
from armctl.identify.excitation import Motion, excitation
from armctl.identify.log import RolloutLog
from armctl.plant.observe import Measurement
from armctl.plant.scenario import Scenario
from armctl.plant.servo import ServoConfig

STIFFNESS, DAMPING = 300.0, 25.0
"""Gains of the tracking law, 1/s^2 and 1/s: low, because the log needs the arm to move, not to be exact."""
Progress = Callable[[int], None]
SHRINK = (1.0, 0.7, 0.5, 0.35)
"""Amplitudes that are tried until the loaded arm, which strays from the plan, stays within its limits."""


def record(
    chain: Chain,
    scenario: Scenario,
    *,
    seconds: float = 5.0,
    control_dt: float = 0.01,
    physics_dt: float = 0.002,
    seed: int = 0,
    progress: Progress | None = None,
) -> RolloutLog:
    """Let the arm of a scenario move in PyBullet under joint torques and write down what its sensors and commands say.

    seconds: duration; control_dt, physics_dt: s; seed: of the excitation; progress: called with the
    control steps of an attempt so far. The loop is closed: commands react to the
    measured, noisy state. Raises UsageError where the arm leaves its limits or touches itself at every amplitude.
    """
    config = ServoConfig(control="torque", physics_dt=physics_dt, control_dt=control_dt)
    planned = excitation(chain, seconds, control_dt, seed)
    for share in SHRINK:
        start = planned[0][0]
        motion = start + share * (planned[0] - start), share * planned[1], share * planned[2]
        log, clean = _run(chain, scenario, config, motion, progress)
        if clean:
            return log
    raise UsageError(
        f"{chain.name} under this scenario leaves its joint limits or touches itself whatever the amplitude; choose a "
        "lighter scenario or another --seed."
    )


def _run(
    chain: Chain, scenario: Scenario, config: ServoConfig, motion: Motion, progress: Progress | None
) -> tuple[RolloutLog, bool]:
    """Track a motion from its start; the log, and whether the arm stayed inside its limits and clear of itself."""
    plant = Plant(chain, config)
    try:
        check = SelfCollision(plant.model)
        plant.reset(scenario, motion[0][0], np.zeros(chain.n))
        measured, commands, clean = [plant.measure()], [], True
        for k in range(len(motion[0]) - 1):
            commands.append(tracking_torque(chain, measured[-1], (motion[0][k], motion[1][k], motion[2][k])))
            plant.step(commands[-1])
            measured.append(plant.measure())
            if progress is not None:
                progress(k + 1)
            inside = np.all((plant.q > chain.lower) & (plant.q < chain.upper))
            clean = clean and bool(inside) and not check.touches(plant.position)
            if not clean:
                break
    finally:
        plant.close()
    q, qd = (np.array(x) for x in zip(*measured, strict=True))
    steps = config.control_dt, config.physics_dt
    return RolloutLog(q, qd, np.array(commands), *steps, config.control, chain.joint_names, scenario), clean


def tracking_torque(chain: Chain, measured: Measurement, wanted: Motion) -> np.ndarray:
    """Computed torque on the nominal arm. wanted: q, qd, qdd (n,) -> (n,) N m, saturated."""
    q, qd, qdd = wanted
    qdd = qdd + STIFFNESS * (q - measured.q) + DAMPING * (qd - measured.qd)
    return np.clip(rigid.inverse_dynamics(chain, measured.q, measured.qd, qdd), -chain.effort, chain.effort)
