"""Laws of scenarios: what the true plant is, and what cannot be one."""

import json
from dataclasses import asdict, dataclass

import numpy as np
import pybullet
import pytest

from armctl.envs.bullet.body import ArmBody, load_text
from armctl.errors import UsageError
from armctl.plant.effects.payload import RADIUS
from armctl.plant.presets import PRESETS, rated_payload, sample_scenario
from armctl.plant.scenario import Scenario, as_scenario, plant_params, stack_params, true_chain
from armctl.plant.sweep import load_scenarios
from armctl.rigid import about_origin
from armctl.urdf import load_chain, write_urdf
from tests.robots import ROBOTS, random_motion, worst


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("payload_mass", -1.0),
        ("payload_mass", float("nan")),
        ("position_noise", -1e-3),
        ("velocity_noise", -1e-3),
        ("wrench_duration", -1.0),
        ("latency", -1),
        ("inertia_scale", 0.0),
        ("inertia_scale", (1.0, -1.0, 1.0)),
        ("actuator_strength", 0.0),
        ("viscous", -0.1),
        ("coulomb", (0.0, -0.1, 0.0)),
        ("payload_com", (0.0, 0.0)),
        ("wrench", (1.0, 2.0, 3.0)),
        ("wrench", (0.0, float("nan"), 0.0, 0.0, 0.0, 0.0)),
        ("gravity_tilt", float("inf")),
        ("latency", 1.5),
        ("payload_mass", "2 kg"),
        ("payload_mass", "2"),
        ("seed", -1),
    ],
)
def test_impossible_values_are_named(field, value):
    with pytest.raises(UsageError, match=field):
        Scenario(**{field: value})


def test_arrays_and_tuples_make_the_same_scenario():
    assert Scenario(payload_com=np.array([0.0, 0.1, 0.0]), latency=np.int64(2)) == Scenario(
        payload_com=(0.0, 0.1, 0.0), latency=2
    )


def test_tuples_must_fit_the_joints():
    for field in ("viscous", "coulomb", "inertia_scale", "actuator_strength"):
        with pytest.raises(UsageError, match=f"{field}.*7 joints"):
            plant_params(load_chain("panda"), Scenario(**{field: (1.0, 1.0, 1.0)}))


def test_the_nominal_plant_is_the_arm():
    chain = load_chain("gen3")
    params = plant_params(chain, Scenario())
    np.testing.assert_array_equal(params.mass, chain.mass)
    np.testing.assert_array_equal(params.gravity, [0, 0, -9.81])
    assert not params.effects


def test_payload_is_a_sphere_welded_to_the_tip():
    """PyBullet is given the payload as a link of its own on a fixed joint, and must find the same dynamics."""
    chain, mass, com = load_chain("panda"), 1.7, (0.03, -0.02, 0.08)
    scenario = Scenario(payload_mass=mass, payload_com=com, inertia_scale=1.2)
    lumped = true_chain(chain, scenario)
    moment = 0.4 * mass * RADIUS**2
    centre = chain.T_last_tip[:3, :3] @ com + chain.T_last_tip[:3, 3]
    scaled = write_urdf(chain, mass=1.2 * chain.mass, inertia=1.2 * chain.inertia)
    last = scaled.rsplit('<child link="', 1)[1].split('"', 1)[0]
    load = (
        f'<link name="load"><inertial><origin xyz="{" ".join(map(repr, centre.tolist()))}"/><mass value="{mass}"/>'
        f'<inertia ixx="{moment}" iyy="{moment}" izz="{moment}" ixy="0" ixz="0" iyz="0"/></inertial></link>'
        f'<joint name="weld" type="fixed"><parent link="{last}"/><child link="load"/></joint></robot>'
    )
    body = ArmBody(lumped)
    client = pybullet.connect(pybullet.DIRECT)
    pybullet.setGravity(0, 0, -9.81, physicsClientId=client)
    welded = load_text(scaled.replace("</robot>", load), client)
    for q, qd, qdd in zip(*random_motion(chain, 3)[:3], strict=True):
        args = [x.tolist() for x in (q, qd, qdd)]
        want = pybullet.calculateInverseDynamics(welded, *args, physicsClientId=client)
        said = pybullet.calculateInverseDynamics(body.id, *args, physicsClientId=body.client)
        assert worst(said, want) < 1e-9
        M = pybullet.calculateMassMatrix(welded, args[0], physicsClientId=client)
        assert worst(body.mass_and_gravity(q)[0], M) < 1e-9
    pybullet.disconnect(client)
    body.close()


def test_inertia_about_the_origin_is_that_of_point_masses():
    rng = np.random.default_rng(0)
    weights, points = rng.uniform(1, 2, 6), rng.normal(size=(6, 3))

    def inertia(about):
        r = points - about
        return np.sum(
            weights[:, None, None] * (np.sum(r**2, -1)[:, None, None] * np.eye(3) - r[:, :, None] * r[:, None]), 0
        )

    com = weights @ points / weights.sum()
    np.testing.assert_allclose(about_origin(weights.sum(), com, inertia(com)), inertia(np.zeros(3)), rtol=1e-12)


def test_gravity_tilt_turns_about_x():
    gravity = plant_params(load_chain("planar3"), Scenario(gravity_tilt=0.1)).gravity
    np.testing.assert_allclose(gravity, 9.81 * np.array([0, np.sin(0.1), -np.cos(0.1)]))


def test_stacked_plants_are_the_plants():
    chain = load_chain("planar3")
    one = [plant_params(chain, Scenario(payload_mass=m, latency=k)) for m, k in ((0.0, 0), (1.0, 2))]
    stacked = stack_params(one)
    for name in ("mass", "first_moment", "inertia", "gravity", "seed"):
        for k in range(2):
            np.testing.assert_array_equal(getattr(stacked, name)[k], getattr(one[k], name))
    np.testing.assert_array_equal(stacked.effects["latency"].least, [0, 2])
    assert stacked.effects["latency"].least.dtype == np.int32
    assert stacked.seed.dtype == np.uint32


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_drawn_from_the_generator_alone(preset, robot):
    chain = load_chain(robot)
    draw = lambda seed: sample_scenario(preset, chain, np.random.default_rng(seed))  # noqa: E731
    assert draw(1) == draw(1)
    assert (draw(1) == draw(2)) == (preset == "nominal")
    heaviest = 1.5 if preset in ("overload", "extreme") else 1.0
    assert 0 <= draw(3).payload_mass <= heaviest * rated_payload(chain)
    plant_params(chain, draw(4))


def test_a_preset_of_one_delay_is_its_family_with_that_delay():
    chain, rng = load_chain("planar3"), np.random.default_rng
    for family, delays in (("latency", 6), ("combined", 4)):
        for delay in range(delays):
            drawn = sample_scenario(f"{family}_{delay}", chain, rng(0))
            assert drawn.latency == delay
            assert list(PRESETS[f"{family}_{delay}"].draws) == list(PRESETS[family].draws)
    assert sample_scenario("overload", chain, rng(0)).payload_mass > rated_payload(chain)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"wrench": (1.0,) * 6}, "wrench_duration is 0"),
        ({"next_payload_mass": 1.0}, "payload_switch"),
        ({"viscous": 1e5}, "largest that can be simulated is 10000"),
        ({"inertia_scale": 1e-3}, "at least 0.01"),
        ({"stiction": 0.5}, "at least 1"),
        ({"latency_jitter": 0.5}, "whole number"),
    ],
)
def test_what_cannot_be_simulated_is_refused(fields, said):
    with pytest.raises(UsageError, match=said):
        Scenario(**fields)


def test_a_subclass_with_fields_of_its_own_is_refused():
    @dataclass(frozen=True)
    class Sticky(Scenario):
        glue: float = 1.0

    with pytest.raises(UsageError, match=r"Sticky\.glue.*Effect"):
        Sticky()


def test_a_dictionary_is_a_scenario_and_survives_json():
    scenario = Scenario(payload_mass=1.0, coulomb=(0.1, 0.2, 0.3), payload_switch=0.5, next_payload_mass=2.0)
    assert as_scenario(json.loads(json.dumps(asdict(scenario)))) == scenario
    with pytest.raises(UsageError, match="no field 'mass'"):
        as_scenario({"mass": 1.0})


def test_a_grid_is_every_combination():
    found = Scenario.grid(Scenario(latency=1), payload_mass=[0.0, 2], coulomb=[0.0, (0.1, 0.2, 0.3)])
    assert list(found)[:2] == ["payload_mass=0, coulomb=0", "payload_mass=0, coulomb=(0.1, 0.2, 0.3)"]
    assert len(found) == 4
    assert found["payload_mass=2, coulomb=0"] == Scenario(latency=1, payload_mass=2)
    with pytest.raises(UsageError, match=r"payload_mass is 1\.0"):
        Scenario.grid(payload_mass=1.0)


def test_scenarios_are_read_from_a_file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text("[base]\nlatency = 1\n[grid]\nviscous = [0.0, 0.5]\n[scenario.heavy]\npayload_mass = 3.0\n")
    found = load_scenarios(path)
    assert list(found) == ["viscous=0", "viscous=0.5", "heavy"]
    assert found["heavy"] == Scenario(latency=1, payload_mass=3.0)
    for text, said in (("[base]\nx = 1", "no field 'x'"), ("[grids]", "grids"), ("", "no scenario"), ("[", "not TOML")):
        path.write_text(text)
        with pytest.raises(UsageError, match=said):
            load_scenarios(path)
    with pytest.raises(UsageError, match="no file"):
        load_scenarios(tmp_path / "none.toml")


def test_the_individual_arm_keeps_its_ripple():
    chain = load_chain("panda")
    one, other = (sample_scenario("ripple", chain, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.ripple != other.ripple
    assert (one.ripple_harmonic, one.ripple_phase) == (other.ripple_harmonic, other.ripple_phase)
    assert one.ripple_phase != sample_scenario("ripple", load_chain("iiwa14"), np.random.default_rng(1)).ripple_phase
    assert max(np.array(one.ripple) / chain.effort) <= 0.01


def test_unknown_preset_lists_the_known():
    with pytest.raises(UsageError, match="payload_friction"):
        sample_scenario("mars", load_chain("panda"), np.random.default_rng(0))
