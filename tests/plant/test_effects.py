"""Laws of effects: what each does, that zeros are nothing, and that what is not there is not computed."""

import json
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from armctl import twin
from armctl.arm import load_arm
from armctl.errors import UsageError
from armctl.plant.effects.acting import BUILT_IN, Acting
from armctl.plant.effects.dry_friction import DryFriction
from armctl.plant.effects.effect import Effect, acts, find
from armctl.plant.effects.encoder import Encoder
from armctl.plant.effects.lag import Lag
from armctl.plant.effects.latency import STREAM, Latency, age
from armctl.plant.effects.ripple import Ripple
from armctl.plant.observe import Measurement, counter_uniform
from armctl.plant.scenario import Scenario, effects_of, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain

CHAIN = load_chain("planar3")
SOME = Scenario(
    viscous=0.1, coulomb=0.2, stiction=1.5, ripple=0.3, actuator_strength=0.9, actuator_lag=0.01, latency=1,
    latency_jitter=2, position_noise=1e-3, velocity_noise=1e-2, encoder_step=1e-3, encoder_offset=0.01,
    payload_switch=0.1, next_payload_mass=1.0, wrench=(1.0,) * 6, wrench_duration=0.1,
)  # fmt: skip


@dataclass(frozen=True)
class Spring(Effect, name="test_spring"):
    """A spring on every joint."""

    stiffness: float

    def prepare(self, chain):
        """Stiffness, (n,)."""
        return np.full(chain.n, self.stiffness)

    @staticmethod
    def torque(p, memory, tau, q, qd, time, dt):
        """Towards zero."""
        return tau - p * q, memory


def test_every_effect_is_switched_on_by_its_fields():
    assert {effect.name for effect in effects_of(SOME, CHAIN)} == {cls.name for cls in BUILT_IN}
    assert effects_of(Scenario(), CHAIN) == ()
    assert all(find(cls.name) is cls for cls in BUILT_IN)


def test_nothing_is_computed_of_what_is_not_there():
    """The traced program of a plant without effects is that of one that never heard of them, whatever others have."""
    arm, config = load_arm("planar3"), ServoConfig(control="torque")

    def size(scenario):
        params = plant_params(CHAIN, scenario)
        step = lambda tau: twin.step(arm, config, params, twin.reset(arm, config, CHAIN.home, params=params), tau)[0].q  # noqa: E731
        return len(str(jax.make_jaxpr(step)(CHAIN.home)))

    nothing = size(Scenario())
    assert size(Scenario(stiction=2.0, ripple_harmonic=8.0, seed=5)) == nothing
    for field in ("viscous", "coulomb", "ripple", "actuator_lag", "latency"):
        assert size(Scenario(**{field: 1})) > nothing


def test_zeros_are_no_effect():
    """Plants that lack an effect are batched with zeros in its place."""
    params = stack_params([plant_params(CHAIN, SOME), plant_params(CHAIN, Scenario())])
    none = Acting(jax.tree.map(lambda x: x[1], params.effects))
    tau, q, qd = np.array([1.0, -2.0, 3.0]), np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.0, -0.5])
    after, _ = none.torque(none.start(tau), tau, q, qd, np.asarray(0.2), 0.002)
    np.testing.assert_array_equal(after, tau)
    assert not none.damping().any()
    assert not none.dry_friction(qd).any()
    assert not none.wrench(np.asarray(0.05), 0.002).any()
    seen = none.measured(Measurement(q, qd), np.uint32(3), np.uint32(7))
    np.testing.assert_array_equal(seen, Measurement(q, qd))
    assert age(jax.tree.map(lambda x: x[1], params.effects["latency"]), np.asarray(3, np.uint32), np.uint32(9)) == 0


def test_lag_is_first_order_exactly():
    p, tau = Lag(0.02).prepare(CHAIN), np.array([2.0, 0.0, -1.0])
    memory = np.zeros(3)
    for k in range(30):
        given, memory = Lag.torque(p, memory, tau, tau, tau, 0.002 * k, 0.002)
    np.testing.assert_allclose(given, tau * (1 - np.exp(-30 * 0.002 / 0.02)), rtol=1e-12)


def test_ripple_repeats_with_the_angle():
    p = Ripple(0.5, 6.0, 0.3).prepare(CHAIN)
    turn = lambda q: Ripple.torque(p, None, 0 * q, q, 0 * q, 0.0, 0.002)[0]  # noqa: E731
    q = np.linspace(-1, 1, 3)
    np.testing.assert_allclose(turn(q), 0.5 * np.sin(6 * q + 0.3))
    np.testing.assert_allclose(turn(q + 2 * np.pi / 6), turn(q), atol=1e-12)


def test_friction_falls_from_rest_to_motion():
    p = DryFriction(2.0, 1.5, 0.1).prepare(CHAIN)
    at = lambda speed: DryFriction.dry_friction(p, np.full(3, speed))  # noqa: E731
    np.testing.assert_allclose(at(0.0), 3.0)
    np.testing.assert_allclose(at(0.1), 2.0 + np.exp(-1))
    np.testing.assert_allclose(at(-5.0), 2.0)


def test_encoders_count_and_let_derivatives_through():
    p = Encoder(0.01, 0.004).prepare(CHAIN)
    q = np.array([0.1234, -0.5, 0.0])
    seen = Encoder.measured(p, Measurement(q, 0 * q), np.uint32(0), np.uint32(0)).q
    np.testing.assert_allclose(seen / 0.004, np.round(seen / 0.004), atol=1e-9)
    assert np.abs(seen - q - 0.01).max() <= 0.002 + 1e-12
    slope = jax.jacobian(lambda q: Encoder.measured(p, Measurement(q, 0 * q), jnp.uint32(0), jnp.uint32(0)).q)(q)
    np.testing.assert_array_equal(slope, np.eye(3))


def test_delays_vary_and_commands_keep_their_order():
    """The newest command that has arrived acts: its age grows by at most one per step and stays within the range."""
    p, seed = Latency(1, 3).prepare(CHAIN), np.asarray(11, np.uint32)
    steps = np.arange(10, 4000, dtype=np.uint32)
    ages = np.array([age(p, seed, step) for step in steps])
    assert (ages >= 1).all()
    assert (ages <= 4).all()
    assert (np.diff(ages) <= 1).all()
    draws = counter_uniform(np.full(len(steps), seed ^ np.uint32(STREAM)), steps)
    assert abs(draws.mean() - 0.5) < 0.02
    # P(newest arrived is the one of i steps ago) = P(d <= i) prod_{j < i} P(d > j), with d uniform on 1..4
    expected = np.array([1 / 4, 3 / 4 * 2 / 4, 3 / 4 * 2 / 4 * 3 / 4, 3 / 4 * 2 / 4 * 1 / 4])
    np.testing.assert_allclose(np.bincount(ages, minlength=5)[1:] / len(ages), expected, atol=0.03)
    batch = age(jax.tree.map(jnp.asarray, p), jnp.full(50, seed), jnp.asarray(steps[:50]))
    np.testing.assert_array_equal(batch, ages[:50])  # the same draws in NumPy and JAX, one by one and in a batch


def test_an_effect_from_outside_comes_back_from_a_dictionary():
    scenario = Scenario(effects=(Spring(3.0),))
    assert Scenario(effects=[{"effect": "test_spring", "stiffness": 3.0}]) == scenario
    assert acts(Spring, "torque")
    assert not acts(Spring, "wrench")
    np.testing.assert_array_equal(plant_params(CHAIN, scenario).effects["test_spring"], np.full(3, 3.0))


@pytest.mark.parametrize(
    ("effects", "said"),
    [
        ((Spring(1.0), Spring(2.0)), "test_spring.*twice"),
        (({"effect": "warp"},), "Unknown effect 'warp'"),
        ((Lag(0.1),), "actuator_lag.*own fields"),
        ((3.0,), r"armctl\.Effect"),
    ],
)
def test_effects_that_cannot_be_are_named(effects, said):
    with pytest.raises(UsageError, match=said):
        Scenario(effects=effects)


def test_two_effects_of_one_name_are_refused():
    with pytest.raises(UsageError, match=r"ripple.*already"):

        class Other(Effect, name="ripple"):
            pass


def test_a_state_of_another_plant_is_refused():
    arm, config = load_arm("planar3"), ServoConfig(control="torque")
    state = twin.reset(arm, config, CHAIN.home)
    for scenario in (Scenario(latency=2), Scenario(actuator_lag=0.1)):
        with pytest.raises(UsageError, match="params=params"):
            twin.step(arm, config, plant_params(CHAIN, scenario), state, CHAIN.home)


def test_what_is_wrong_with_an_effect_of_ones_own_is_said():
    with pytest.raises(UsageError, match="Nameless has no name"):

        class Nameless(Effect):
            pass

    with pytest.raises(UsageError, match=r"test_spring.*cannot be made.*stifness"):
        Scenario(effects=({"effect": "test_spring", "stifness": 3.0},))

    @dataclass(frozen=True)
    class Forgetful(Effect, name="test_forgetful"):
        def prepare(self, chain):
            return np.zeros(chain.n)

        @staticmethod
        def torque(p, memory, tau, q, qd, time, dt):
            return tau, tau

    effects = Acting(plant_params(CHAIN, Scenario(effects=(Forgetful(),))).effects)
    with pytest.raises(UsageError, match=r"test_forgetful.*define its start"):
        effects.torque({}, CHAIN.home, CHAIN.home, CHAIN.home, np.asarray(0.0), 0.002)


def test_a_scenario_of_numpy_numbers_survives_json():
    scenario = Scenario(payload_mass=np.float32(0.5), latency=np.int64(2))
    assert json.loads(json.dumps(asdict(scenario)))["payload_mass"] == 0.5
