"""Laws of scenarios: what the true plant is, and what cannot be one."""

import numpy as np
import pybullet
import pytest

from armctl.envs.bullet.body import ArmBody, load_text
from armctl.errors import UsageError
from armctl.plant.scenario import (
    PAYLOAD_RADIUS,
    PRESETS,
    Scenario,
    plant_params,
    rated_payload,
    sample_scenario,
    stack_params,
    true_chain,
)
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
    np.testing.assert_array_equal(params.viscous, chain.damping)
    np.testing.assert_array_equal(params.coulomb, chain.friction)
    np.testing.assert_array_equal(params.gravity, [0, 0, -9.81])
    assert not params.wrench.any()
    assert not params.noise.any()


def test_payload_is_a_sphere_welded_to_the_tip():
    """PyBullet is given the payload as a link of its own on a fixed joint, and must find the same dynamics."""
    chain, mass, com = load_chain("panda"), 1.7, (0.03, -0.02, 0.08)
    scenario = Scenario(payload_mass=mass, payload_com=com, inertia_scale=1.2)
    lumped = true_chain(chain, scenario)
    moment = 0.4 * mass * PAYLOAD_RADIUS**2
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
    for name, leaf in stacked._asdict().items():
        for k in range(2):
            np.testing.assert_array_equal(leaf[k], getattr(one[k], name))
    assert stacked.latency.dtype == np.int32
    assert stacked.seed.dtype == np.uint32


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_drawn_from_the_generator_alone(preset, robot):
    chain = load_chain(robot)
    draw = lambda seed: sample_scenario(preset, chain, np.random.default_rng(seed))  # noqa: E731
    assert draw(1) == draw(1)
    assert (draw(1) == draw(2)) == (preset == "nominal")
    assert 0 <= draw(3).payload_mass <= rated_payload(chain)
    plant_params(chain, draw(4))


def test_unknown_preset_lists_the_known():
    with pytest.raises(UsageError, match="payload_friction"):
        sample_scenario("mars", load_chain("panda"), np.random.default_rng(0))
