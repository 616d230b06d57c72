"""Plant and twin under every effect, and under scenarios from anywhere in their range."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl.audit.effects import STEPS, effect_scenarios
from armctl.audit.exercise import make_swing, policy
from armctl.audit.gradients import gradient_parity
from armctl.audit.rollouts import record, replay, replay_batch
from armctl.audit.scenarios import agreement, random_scenario
from armctl.plant.scenario import plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain


def test_the_twin_of_every_effect_is_pybullet_for_one_second():
    """All effects in one batch, so that they are compiled together."""
    chain = load_chain("planar3")
    config, swing = ServoConfig(control="torque"), make_swing(chain)
    scenarios = effect_scenarios(chain)
    found = [record(chain, config, s, policy(chain, config, swing), STEPS, q0=swing.q0) for s in scenarios.values()]
    plants = stack_params([plant_params(chain, scenario) for scenario in scenarios.values()])
    commands, q0 = (np.stack([getattr(one, name) for one in found]) for name in ("commands", "q0"))
    said = replay_batch(chain, config, plants, q0, commands)
    for i, (effect, episode) in enumerate(zip(scenarios, found, strict=True)):
        assert np.abs(episode.q - swing.q0).max() > 0.05, effect
        assert np.abs(said[i] - episode.q).max() < 1e-10, effect


def test_everything_at_once_on_seven_joints_in_velocity_control():
    chain = load_chain("panda")
    config, swing = ServoConfig(), make_swing(chain)
    scenario = effect_scenarios(chain)["everything"]
    episode = record(chain, config, scenario, policy(chain, config, swing), STEPS, q0=swing.q0)
    assert np.abs(replay(chain, episode)[0] - episode.q).max() < 1e-10


def test_the_gradient_of_everything_at_once_is_pybullets():
    chain = load_chain("planar3")
    scenario = effect_scenarios(chain)["everything"]
    found = gradient_parity(chain, ServoConfig(control="torque"), 5, scenario=scenario)
    assert found["cosine"] > 0.9999


@settings(deadline=None, max_examples=4)
@given(st.integers(0, 2**32 - 1))
def test_scenarios_from_anywhere_are_bounded_and_alike(seed):
    chain, rng = load_chain("planar3"), np.random.default_rng(seed)
    found = agreement(chain, ServoConfig(control="torque"), [random_scenario(chain, rng) for _ in range(24)], 10, rng)
    assert found.bounded.all()
    assert found.agrees.all(), found.error
