"""Laws of every controller: batches, limits, parameters, and tracking of what it has been told exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import dynamics, kinematics, twin
from armctl.arm import load_arm
from armctl.controllers import known, load, make, saved
from armctl.controllers.preview import ahead
from armctl.errors import UsageError
from armctl.motion.sampling import random_reference
from armctl.motion.windows import stack_references, windows
from armctl.plant.observe import Measurement, Window
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain
from tests.controllers.situations import PREVIEW, compiled, single, situation

ALIKE = ("adaptive", "filter_bank", "oracle", "tracker_online")  # the tracker's own code with less of it
every = pytest.mark.parametrize("name", [name for name in known() if name not in ALIKE])


def limit(controller):
    arm = controller.arm
    if controller.control == "position":
        return arm.upper - arm.lower
    return arm.effort if controller.control == "torque" else arm.velocity


@every
def test_batches_are_loops(name, x64):
    controller, call = compiled(name)
    m, w = situation()
    carry, command = call(controller.init_carry((3,)), m, w)
    carry, command = call(carry, m, w)  # a second time, with memory
    for k in range(2):
        one = controller.init_carry(())
        for _ in range(2):
            one, alone = call(one, *jax.tree.map(lambda x, k=k: x[k], (m, w)))
        assert alone.shape == (3,)
        np.testing.assert_allclose(command[k], alone, atol=1e-6 * limit(controller).max())
        for together, apart in zip(jax.tree.leaves(carry), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(together[k], apart, atol=1e-6 * limit(controller).max())


@every
def test_commands_stay_inside_the_limits(name, x64):
    controller, call = compiled(name)
    m, w = situation()
    far = m._replace(q=m.q + 2.0, qd=m.qd - 20.0)
    _, command = call(controller.init_carry((3,)), far, w)
    share = np.abs(command) / limit(controller)
    assert share.max() <= 1 + 1e-6
    if name not in ("tracker_mlp", "joint_servo"):  # untrained its output is small; it commands the reference
        assert share.max() > 0.9


@every
def test_parameters_survive_a_file_and_decide_the_command(name, x64, tmp_path):
    controller, call = compiled(name)
    m, w = situation()
    before = np.asarray(call(controller.init_carry((3,)), m, w)[1])
    original = saved.parameters(controller)
    saved.save(tmp_path, controller)
    saved.with_parameters(controller, {key: 0.7 * value + 0.1 for key, value in original.items()})
    assert np.abs(call(controller.init_carry((3,)), m, w)[1] - before).max() > 1e-4
    with np.load(tmp_path / "params.npz") as file:
        saved.with_parameters(controller, dict(file))
    np.testing.assert_array_equal(call(controller.init_carry((3,)), m, w)[1], before)
    for key, value in saved.parameters(controller).items():
        np.testing.assert_array_equal(value, original[key])


def test_parameters_of_another_controller_or_arm_are_refused():
    tracker, _ = compiled("tracker")
    arrays = saved.parameters(tracker)
    for wrong in (
        saved.parameters(compiled("diff_ik")[0]),
        dict(list(arrays.items())[1:]),
        arrays | {"out/kernel": np.zeros((128, 7))},
    ):
        with pytest.raises(UsageError, match="Tracker for planar3"):
            saved.with_parameters(tracker, wrong)


def test_unknown_names_and_folders_are_refused(tmp_path):
    with pytest.raises(UsageError, match="computed_torque"):
        make("telepathy", load_arm("planar3"))
    with pytest.raises(UsageError):
        load(tmp_path / "nowhere", load_arm("planar3"))


@every
def test_a_preview_shorter_than_what_is_read_is_refused(name):
    """Read past its end, a window would give samples of weight less than one without a word."""
    arm = load_arm("planar3")
    least = make(name, arm).least_preview
    with pytest.raises(UsageError, match=f"preview is {least - 1}"):
        make(name, arm, preview=least - 1)
    ones = Window(*(np.ones_like(x[:, : least + 1]) for x in situation()[1]))
    for x in ahead(ones, least - 1.0):
        np.testing.assert_allclose(x, 1.0, rtol=1e-6)


def at_rest_on_target(arm, q):
    """A measurement at rest exactly on a reference at rest."""
    T = np.asarray(kinematics.forward_kinematics(arm, q))
    ahead = lambda x: np.repeat(np.asarray(x)[None], PREVIEW + 1, axis=0)  # noqa: E731
    still, none = ahead(0 * q), ahead(np.zeros(6))
    return Measurement(q, 0 * q), Window(ahead(q), still, still, ahead(T[:3, 3]), ahead(T[:3, :3]), none, none)


@pytest.mark.parametrize("name", ["computed_torque", "operational_space_integral"])
def test_at_rest_on_the_target_the_command_is_the_feed_forward(name, x64):
    """Nothing is wrong, so nothing is corrected: what is left is gravity, however large the gains and weights."""
    controller, call = compiled(name)
    original = saved.parameters(controller)
    q = np.array([0.3, -0.8, 0.5])
    m, w = at_rest_on_target(controller.arm, q)
    saved.with_parameters(controller, {key: 3 * value for key, value in original.items()})
    _, command = call(controller.init_carry(()), m, w)
    saved.with_parameters(controller, original)
    np.testing.assert_allclose(command, dynamics.gravity(controller.arm, q), atol=1e-6)


@pytest.mark.parametrize("name", ["diff_ik", "computed_torque", "operational_space_integral"])
def test_classical_controllers_track_the_nominal_arm_within_a_millimetre(name):
    robot = "panda"
    chain = load_chain(robot)
    reference = random_reference(chain, np.random.default_rng(2), dt=0.01, eta=0.6)
    steps = len(reference.q) - 1
    bank = single(stack_references([reference]))
    controller = make(name, load_arm(robot), preview=PREVIEW)
    config, params = ServoConfig(control=controller.control), single(plant_params(chain, Scenario()))

    @jax.jit
    def run(bank):
        def step(carry, k):
            state, memory = carry
            w = windows(bank, jnp.zeros(1, int), k[None], PREVIEW)
            memory, command = controller(memory, Measurement(state.q, state.qd), w)
            state, _ = twin.step(controller.arm, config, params, state, command)
            return (state, memory), state.q

        start = twin.reset(controller.arm, config, bank.samples.q[:, 0], bank.samples.qd[:, 0])
        _, q = jax.lax.scan(step, (start, controller.init_carry((1,))), jnp.arange(steps))
        return kinematics.forward_kinematics(controller.arm, q[:, 0])[:, :3, 3]

    tip = np.asarray(run(bank))
    path = reference.pose[:, :3]
    assert np.ptp(path, axis=0).max() > 0.1
    assert np.linalg.norm(tip - path[1:], axis=-1).max() < 1e-3
