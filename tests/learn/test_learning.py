"""Training through the twin: true gradients, exact resume, a guard that keeps the last good parameters."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from armctl import controllers, store
from armctl.arm import load_arm
from armctl.controllers import saved
from armctl.envs.bullet.plant import Plant
from armctl.errors import NonFiniteError, UsageError
from armctl.learn import rollout, train, tune
from armctl.learn.losses import Objective, charbonnier
from armctl.motion.sampling import random_reference
from armctl.plant.scenario import Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain

CHAIN, ARM = load_chain("planar3"), load_arm("planar3")
# one size for all, so that one compiled program serves every test
SMALL = train.TrainConfig(updates=40, batch=8, horizon=10, chunk=20, gain_rate=0.1, patience=20, spectrum=0)


@pytest.fixture(scope="module")
def references():
    rng = np.random.default_rng(0)
    return [random_reference(CHAIN, rng, dt=0.01, duration=1.0) for _ in range(6)]


def config(**changes):
    settings = {"robot": "planar3", "controller": "computed_torque", "plants": 8, "seconds": 1.0, "train": SMALL}
    return tune.TuneConfig(**{**settings, **changes})


def windows_loss(controller, setting, task, episodes, horizon):
    """Function of the controller's parameters: mean loss of one window, as training sees it."""
    graph, params, rest = nnx.split(controller, nnx.Param, ...)

    def loss(params):
        module = nnx.merge(graph, params, rest)
        return jnp.mean(rollout.advance(setting, task, module, episodes, Objective(), 1.0, horizon)[1][0])

    return params, loss


def test_window_gradient_is_that_of_finite_differences(references):
    with jax.enable_x64(True):
        task = jax.tree.map(np.asarray, tune.make_task(CHAIN, references, config()))
        task = jax.tree.map(lambda x: x.astype(np.float64) if x.dtype == np.float32 else x, task)
        controller = controllers.make("computed_torque", ARM)
        setting = tune.training_setting(ARM, "torque", task, config())
        episodes = rollout.start(setting, task, controller, jax.random.key(1), 3, 6)
        params, loss = windows_loss(controller, setting, task, episodes, 6)
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        value = jax.jit(jax.value_and_grad(loss))
        gradient = value(params)[1]
        leaves, tree = jax.tree.flatten(params)
        rng = np.random.default_rng(0)
        direction = [rng.normal(size=leaf.shape) for leaf in leaves]
        slope = sum(float(np.sum(d * np.asarray(g))) for d, g in zip(direction, jax.tree.leaves(gradient), strict=True))
        h = 1e-6
        moved = [
            jax.tree.unflatten(tree, [x + s * h * d for x, d in zip(leaves, direction, strict=True)]) for s in (1, -1)
        ]
        finite = float(value(moved[0])[0] - value(moved[1])[0]) / (2 * h)
    assert abs(slope - finite) < 1e-5 * abs(finite)


def test_gradient_through_the_twin_is_that_of_finite_differences_of_pybullet():
    """d(tip error after 20 steps)/d(torques): jax.grad in the twin against central differences of PyBullet itself."""
    from armctl import rigid, twin

    servo, scenario = ServoConfig(control="torque"), Scenario(payload_mass=0.3)
    rng = np.random.default_rng(3)
    hold = rigid.gravity(CHAIN, CHAIN.home)
    commands = hold + 0.05 * rng.normal(size=(20, 3)) * (1 + np.abs(hold))
    goal = rigid.forward_kinematics(CHAIN, CHAIN.home + 0.1)[:3, 3]

    def in_pybullet(commands):
        plant = Plant(CHAIN, servo)
        plant.reset(scenario, CHAIN.home, np.zeros(3))
        total = 0.0
        for command in commands:
            plant.step(command)
            total += np.sum((rigid.forward_kinematics(CHAIN, plant.q)[:3, 3] - goal) ** 2)
        plant.close()
        return total

    def in_twin(commands):
        from armctl.kinematics import forward_kinematics

        params = plant_params(CHAIN, scenario)

        def step(state, command):
            state, _ = twin.step(ARM, servo, params, state, command, pulses=False)
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
    cosine = gradient @ finite / np.linalg.norm(gradient) / np.linalg.norm(finite)
    assert cosine > 0.9999
    assert np.linalg.norm(gradient - finite) < 1e-3 * np.linalg.norm(finite)


def test_a_budget_is_spent_exactly_or_refused():
    for updates, chunk in ((40, 20), (5, 20), (20, 20)):
        assert train.TrainConfig(updates=updates, chunk=chunk).updates == updates
    with pytest.raises(UsageError, match="updates is 30, no multiple of chunk, 20"):
        train.TrainConfig(updates=30, chunk=20)
    with pytest.raises(UsageError, match="plants is 0"):
        config(plants=0)


def test_tuning_lowers_the_error_and_is_reproducible(references, tmp_path):
    rows = []
    one = tune.tune(config(), references, tmp_path / "one", progress=rows.append)
    assert rows[-1]["position_rms_mm"] < 0.8 * rows[0]["position_rms_mm"]
    watched = config(train=replace(SMALL, spectrum=3))  # the closed loop's Jacobian is logged and changes nothing
    two = tune.tune(watched, references, tmp_path / "two")
    for name, value in saved.parameters(one).items():
        np.testing.assert_array_equal(value, saved.parameters(two)[name])
    seen = store.read_rows(tmp_path / "two" / "metrics.csv")
    assert len(seen) == 2
    assert all(0.5 < float(row["contraction"]) < 1.0 < float(row["amplification"]) for row in seen)
    loaded = controllers.load(tmp_path / "one", ARM)
    for name, value in saved.parameters(one).items():
        np.testing.assert_array_equal(value, saved.parameters(loaded)[name])


def test_resume_after_interruption_equals_an_uninterrupted_run(references, tmp_path):
    whole = tune.tune(config(), references, tmp_path / "whole")

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune.tune(config(), references, tmp_path / "cut", progress=stop)
    resumed = tune.tune(config(), references, tmp_path / "cut", resume=True)
    for name, value in saved.parameters(whole).items():
        np.testing.assert_array_equal(value, saved.parameters(resumed)[name])


def test_existing_run_is_refused_and_unharmed(references, tmp_path):
    tune.tune(config(), references, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UsageError, match="already exists"):
        tune.tune(config(), references, tmp_path / "run")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}


def test_non_finite_updates_stop_training_and_keep_the_last_good_parameters(references):
    task = tune.make_task(CHAIN, references, config())
    broken = task._replace(plants=task.plants._replace(mass=np.full_like(task.plants.mass, np.nan)))
    controller = controllers.make("computed_torque", ARM)
    before = saved.parameters(controller)
    setting = tune.training_setting(ARM, "torque", task, config())
    with pytest.raises(NonFiniteError, match="update 20"):
        train.train(controller, setting, broken, SMALL)
    for name, value in saved.parameters(controller).items():
        np.testing.assert_array_equal(value, before[name])


def test_charbonnier_is_quadratic_then_linear():
    assert abs(float(charbonnier(jnp.float32(1e-6), 1.0)) - 0.5e-6) < 1e-7
    assert abs(float(charbonnier(jnp.float32(1e6), 1.0)) - 999.0) < 0.1


def test_stacked_plants_keep_every_leaf():
    params = [plant_params(CHAIN, Scenario(payload_mass=m)) for m in (0.0, 0.5)]
    stacked = stack_params(params)
    for i, one in enumerate(params):
        for a, b in zip(stacked, one, strict=True):
            np.testing.assert_array_equal(a[i], b)
