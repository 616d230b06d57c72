"""Controllers compiled once, and measurements and windows to call them with."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl import twin
from armctl.arm import load_arm
from armctl.controllers import make
from armctl.learn import rollout
from armctl.learn.learner import TrainConfig
from armctl.learn.losses import Objective
from armctl.learn.tune import TuneConfig, make_task, training_setting
from armctl.motion.sampling import random_reference
from armctl.motion.windows import stack_references, windows
from armctl.plant.observe import Measurement
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain

PREVIEW = 4


def compiled(name, robot="planar3"):
    """A controller, and the compiled function of (carry, measurement, window) that it is, in today's precision."""
    return _compiled(name, robot, jax.config.jax_enable_x64)


@lru_cache
def _compiled(name, robot, double):
    controller = make(name, load_arm(robot), preview=PREVIEW)
    graph, _ = nnx.split(controller)
    call = jax.jit(lambda state, *args: nnx.merge(graph, state)(*args))
    return controller, lambda *args: call(nnx.state(controller), *args)


def single(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float32), tree)


@lru_cache
def situation(robot="planar3", count=3):
    """Measurements a little off random references, and the references' windows, (count, ...)."""
    chain, rng = load_chain(robot), np.random.default_rng(0)
    bank = stack_references([random_reference(chain, rng, dt=0.01, duration=0.3) for _ in range(count)])
    w = windows(bank, np.arange(count), np.full(count, 10), PREVIEW)
    q = w.q[:, 0] + 0.02 * rng.normal(size=w.q[:, 0].shape)
    return Measurement(q, w.qd[:, 0] + 0.1 * rng.normal(size=q.shape)), w


def closed_loop(controller, reference, steps, push=0.0):
    """Joints (steps, n) of the nominal twin, started on a reference, under a controller and a constant joint torque."""
    bank = single(stack_references([reference]))
    config = ServoConfig(control=controller.control)
    params = single(plant_params(load_chain(controller.arm.name), Scenario()))

    @jax.jit
    def run(bank):
        def step(carry, k):
            state, memory = carry
            w = windows(bank, jnp.zeros(1, int), k[None], controller.preview)
            memory, command = controller(memory, Measurement(state.q, state.qd), w)
            state, _ = twin.step(controller.arm, config, params, state, command + push, stops=False)
            return (state, memory), state.q[0]

        start = twin.reset(controller.arm, config, bank.samples.q[:, 0], bank.samples.qd[:, 0])
        return jax.lax.scan(step, (start, controller.init_carry((1,))), jnp.arange(steps))[1]

    return np.asarray(run(bank))


def finite_gradient(controller):
    """That the gradient of the loss through the twin in all parameters of a controller is finite, and not zero."""
    chain, rng = load_chain("planar3"), np.random.default_rng(0)
    config = TuneConfig(robot="planar3", plants=2, seconds=0.3, train=TrainConfig(batch=2, horizon=3))
    task = make_task(chain, [random_reference(chain, rng, dt=0.01, duration=0.3)], config)
    setting = training_setting(controller.arm, controller.control, config)
    graph, params, *rest = nnx.split(controller, nnx.Param, ...)
    episodes = rollout.start(setting, task, controller, jax.random.key(0), 2, 3)

    @jax.jit
    def gradient(params):
        def loss(params):
            module = nnx.merge(graph, params, *rest)
            return jnp.mean(rollout.advance(setting, task, module, episodes, Objective(), 1.0, 3)[1][0])

        return jax.grad(loss)(params)

    leaves = [np.asarray(x) for x in jax.tree.leaves(gradient(params))]
    return all(np.isfinite(x).all() and x.any() for x in leaves)
