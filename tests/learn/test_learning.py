"""Training through the twin: true gradients, less error, exact resume."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import controllers
from armctl.arm import load_arm
from armctl.controllers import saved
from armctl.envs.bullet.plant import Plant
from armctl.errors import UsageError
from armctl.learn import train, tune
from armctl.learn.losses import Objective, charbonnier, episode_weights, evened, pose_errors
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from tests.learn.runs import CHAIN, CONFIG, references

ARM = load_arm("planar3")


def test_gradient_through_the_twin_is_that_of_finite_differences_of_pybullet():
    """d(tip error after 20 steps)/d(torques): jax.grad in the twin against central differences of PyBullet itself."""
    from armctl import rigid, twin

    servo, scenario = ServoConfig(control="torque"), Scenario(payload_mass=0.3)
    rng = np.random.default_rng(3)
    hold = rigid.gravity(CHAIN, CHAIN.home)
    commands = hold + 0.05 * rng.normal(size=(20, 3)) * (1 + np.abs(hold))
    goal = rigid.forward_kinematics(CHAIN, CHAIN.home + 0.1)[:3, 3]

    plant = Plant(CHAIN, servo)

    def in_pybullet(commands):
        plant.reset(scenario, CHAIN.home, np.zeros(3))
        total = 0.0
        for command in commands:
            plant.step(command)
            total += np.sum((rigid.forward_kinematics(CHAIN, plant.q)[:3, 3] - goal) ** 2)
        return total

    def in_twin(commands):
        from armctl.kinematics import forward_kinematics

        params = plant_params(CHAIN, scenario)

        def step(state, command):
            state, _ = twin.step(ARM, servo, params, state, command)
            return state, jnp.sum((forward_kinematics(ARM, state.q)[:3, 3] - goal) ** 2)

        return jnp.sum(jax.lax.scan(step, twin.reset(ARM, servo, CHAIN.home), commands)[1])

    with jax.enable_x64(True):
        value, gradient = jax.jit(jax.value_and_grad(in_twin))(jnp.asarray(commands))
    assert abs(float(value) - in_pybullet(commands)) < 1e-9
    gradient = np.asarray(gradient).ravel()
    h, finite = 1e-4, np.zeros(commands.size)
    for i in range(commands.size):
        step = np.zeros(commands.size)
        step[i] = h
        step = step.reshape(commands.shape)
        finite[i] = (in_pybullet(commands + step) - in_pybullet(commands - step)) / (2 * h)
    plant.close()
    cosine = gradient @ finite / np.linalg.norm(gradient) / np.linalg.norm(finite)
    assert cosine > 0.9999
    assert np.linalg.norm(gradient - finite) < 1e-3 * np.linalg.norm(finite)


def test_a_budget_is_spent_exactly_or_refused():
    for updates, chunk in ((40, 20), (5, 20), (20, 20)):
        assert train.TrainConfig(updates=updates, chunk=chunk).updates == updates
    with pytest.raises(UsageError, match="updates is 30, no multiple of chunk, 20"):
        train.TrainConfig(updates=30, chunk=20)
    with pytest.raises(UsageError, match="plants is 0"):
        replace(CONFIG, plants=0)


def test_tuning_lowers_the_error_and_is_reproducible(tuned, tmp_path):
    one, rows, folder = tuned
    assert rows[-1]["position_rms_mm"] < 0.8 * rows[0]["position_rms_mm"]
    two = tune.tune(CONFIG, references(), tmp_path / "two")
    for name, value in saved.parameters(one).items():
        np.testing.assert_array_equal(value, saved.parameters(two)[name])
    loaded = controllers.load(folder / "one", ARM)
    for name, value in saved.parameters(one).items():
        np.testing.assert_array_equal(value, saved.parameters(loaded)[name])


def test_resume_after_interruption_equals_an_uninterrupted_run(tuned, tmp_path):
    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune.tune(CONFIG, references(), tmp_path / "cut", progress=stop)
    resumed = tune.tune(CONFIG, references(), tmp_path / "cut", resume=True)
    for name, value in saved.parameters(tuned[0]).items():
        np.testing.assert_array_equal(value, saved.parameters(resumed)[name])


def test_existing_run_is_refused_and_unharmed(tuned):
    run = tuned[2] / "one"
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(UsageError, match="already exists"):
        tune.tune(CONFIG, references(), run)
    assert before == {path.name: path.read_bytes() for path in run.iterdir()}


def test_charbonnier_is_quadratic_then_linear():
    assert abs(float(charbonnier(jnp.float32(1e-6), 1.0)) - 0.5e-6) < 1e-7
    assert abs(float(charbonnier(jnp.float32(1e6), 1.0)) - 999.0) < 0.1


def test_episodes_are_weighed_by_the_slope_of_what_is_minimised():
    objective, rng = Objective(), np.random.default_rng(0)
    errors = tuple(jnp.asarray(rng.uniform(0, x, (5, 3)) ** 2, jnp.float32) for x in (1e-3, 1e-2))
    alive = jnp.array([True, True, False])

    def loss(position):
        pose = jnp.mean(jnp.where(alive, pose_errors(objective, (position, errors[1]), 0.1), 0), axis=0)
        return jnp.mean(evened(objective, pose))

    def weighted(position):
        pose = jnp.where(alive, pose_errors(objective, (position, errors[1]), 0.1), 0)
        return jnp.mean(episode_weights(objective, errors, alive, 0.1) * pose)

    np.testing.assert_allclose(jax.grad(loss)(errors[0]), jax.grad(weighted)(errors[0]), rtol=1e-4)


def test_stacked_plants_keep_every_leaf():
    params = [plant_params(CHAIN, Scenario(payload_mass=m)) for m in (0.0, 0.5)]
    stacked = stack_params(params)
    for i, one in enumerate(params):
        for a, b in zip(jax.tree.leaves(stacked), jax.tree.leaves(one), strict=True):
            np.testing.assert_array_equal(a[i], b)


def test_updates_that_were_raised_end_where_they_should_whatever_the_chunk(monkeypatch):
    """Begun as two updates, which are less than a chunk, and gone on to seven in chunks of three."""
    config = replace(CONFIG, train=replace(CONFIG.train, updates=9, chunk=3, batch=2))
    controller = controllers.make("computed_torque", ARM)
    task, setting = tune.make_task(CHAIN, references(), config), tune.training_setting(ARM, "torque", config)
    learner = train.begin(controller, setting, task, config.train)

    def counting(controller, setting, config, devices, length):
        one = np.ones(length)
        return lambda learner, task: (
            learner._replace(update=learner.update + length),
            {"score": one, "non_finite": 0 * one},
        )

    monkeypatch.setattr(train, "make_update", counting)
    seen = []
    done = learner._replace(update=learner.update + 2)
    train.train(
        controller, setting, task, config.train, done, lambda learner, row: seen.append(row["update"]),
        devices=jax.devices()[:1],
    )  # fmt: skip
    assert seen == [5, 8, 9]


def test_a_goal_without_a_way_to_it_is_refused_before_work_starts(tmp_path):
    goals = [replace(one, meta={"start": one.q[0].tolist()}) for one in references()]
    with pytest.raises(UsageError, match="is a goal without a way to it; train on motions"):
        tune.tune(CONFIG, goals, tmp_path / "run")
    assert not (tmp_path / "run").exists()
