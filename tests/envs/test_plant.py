"""The plant: servo law, scenarios, motors."""

import numpy as np
import pytest

from armctl import rigid
from armctl.envs.bullet.body import ArmBody
from armctl.envs.bullet.friction import friction_torque
from armctl.envs.bullet.plant import Plant
from armctl.errors import UsageError
from armctl.plant import servo
from armctl.plant.effects.acting import Acting
from armctl.plant.scenario import Scenario, plant_params, true_chain
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain

CHAIN = load_chain("panda")
LOADED = Scenario(payload_mass=2.0, viscous=0.5, coulomb=0.4, actuator_strength=0.9)


def literal_rollout(config, scenario, commands):
    """The plant once more, straight from the shared functions."""
    par, chain = plant_params(CHAIN, scenario), CHAIN
    body = ArmBody(true_chain(chain, scenario), gravity=par.gravity)
    q, qd = body.state()
    acting = Acting(par.effects)
    target = q
    for command in commands:
        if config.control == "position":
            target = command = np.clip(target + command, chain.lower, chain.upper)
        if config.control == "ee_twist":
            command = servo.joint_velocity_from_twist(rigid.jacobian(chain, q), command, chain.velocity)
        M, g = rigid.mass_and_gravity(chain, q)
        for _ in range(config.substeps):
            tau = servo.commanded_torque(config, command, q, qd, M, g, chain.velocity, chain.damping, chain.friction)
            joint, _ = acting.torque({}, servo.saturated(tau, chain.effort), q, qd, 0.0, config.physics_dt)
            F, D = acting.dry_friction(qd), acting.damping()
            joint = joint + (0.0 if F is None else friction_torque(body, q, qd, joint, D, F))
            body.set_torque(forces=joint.tolist())
            body.step()
            q, qd = body.state()
    body.close()
    return q, qd


@pytest.mark.parametrize("control", servo.CONTROLS)
@pytest.mark.parametrize("scenario", [Scenario(), LOADED], ids=["nominal", "loaded"])
def test_the_fast_drive_follows_the_shared_law(control, scenario):
    config = ServoConfig(control=control)
    from armctl.plant.action import action_scale

    scale = action_scale(CHAIN, config)
    commands = np.random.default_rng(1).uniform(-0.5, 0.5, (20, len(scale))) * scale
    plant = Plant(CHAIN, config)
    plant.reset(scenario, CHAIN.home, np.zeros(CHAIN.n))
    for command in commands:
        plant.step(command)
    q, qd = literal_rollout(config, scenario, commands)
    np.testing.assert_allclose(plant.q, q, atol=1e-10)
    np.testing.assert_allclose(plant.qd, qd, atol=1e-9)
    plant.close()


def test_velocity_servo_contracts_at_the_stated_rate():
    config = ServoConfig(control="velocity")
    plant = Plant(CHAIN, config)
    plant.reset(Scenario(), CHAIN.home, np.zeros(CHAIN.n))
    command = 0.05 * CHAIN.velocity
    for k in range(1, 11):
        plant.step(command)
        left = np.max(np.abs(plant.qd - command)) / np.max(command)
        assert left < (1 - config.velocity_gain * config.physics_dt) ** (k * config.substeps) + 0.01
    plant.close()


def test_bullet_motors_move_kinematically_and_keep_the_limits():
    config = ServoConfig(control="velocity", control_dt=0.02)
    plant = Plant(CHAIN, config, "bullet")
    plant.reset(Scenario(payload_mass=3.0), CHAIN.home, np.zeros(CHAIN.n))
    plant.step(0.1 * CHAIN.velocity)
    np.testing.assert_allclose(plant.qd, 0.1 * CHAIN.velocity, atol=1e-9)
    for _ in range(200):
        plant.step(0.5 * CHAIN.velocity)
    assert np.all(plant.q <= CHAIN.upper + 1e-6)
    plant.close()


def test_latency_delays_every_command():
    config = ServoConfig(control="velocity")
    commands = np.random.default_rng(2).uniform(-0.2, 0.2, (12, CHAIN.n))
    ends = []
    for latency in (0, 3):
        plant = Plant(CHAIN, config)
        plant.reset(Scenario(latency=latency), CHAIN.home, np.zeros(CHAIN.n))
        sent = commands if latency else np.vstack([np.zeros((3, CHAIN.n)), commands[:-3]])
        for command in sent:
            plant.step(command)
        ends.append(plant.q)
        plant.close()
    np.testing.assert_array_equal(*ends)


def test_a_pulse_pushes_only_while_it_lasts():
    config = ServoConfig(control="velocity")
    moved = []
    for start in (0.02, 1.0):
        plant = Plant(CHAIN, config)
        scenario = Scenario(wrench=(0, 20.0, 0, 0, 0, 0), wrench_start=start, wrench_duration=0.03)
        plant.reset(scenario, CHAIN.home, np.zeros(CHAIN.n))
        speeds = []
        for _ in range(8):
            plant.step(np.zeros(CHAIN.n))
            speeds.append(np.max(np.abs(plant.qd)))
        moved.append(speeds)
        plant.close()
    pushed, quiet = np.array(moved)
    assert np.all(pushed[:2] == quiet[:2])
    assert np.all(pushed[2:5] > 2 * quiet[2:5])


def test_a_payload_goes_when_the_scenario_does():
    plant = Plant(CHAIN, ServoConfig(control="velocity"))
    ends = []
    for mass in (0.0, 3.0, 0.0):
        plant.reset(Scenario(payload_mass=mass), CHAIN.home, np.zeros(CHAIN.n))
        for _ in range(10):
            plant.step(np.zeros(CHAIN.n))
        ends.append(plant.q)
    np.testing.assert_array_equal(ends[0], ends[2])
    assert np.max(np.abs(ends[1] - ends[0])) > 1e-4
    plant.close()


def test_bad_motors_are_refused():
    with pytest.raises(UsageError, match="servo, bullet"):
        Plant(CHAIN, ServoConfig(), "steam")
    with pytest.raises(UsageError, match="torque"):
        Plant(CHAIN, ServoConfig(control="torque"), "bullet")
