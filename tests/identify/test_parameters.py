"""The vector of parameters: it says what a Scenario says, it can be inverted, and all of it is physical."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armctl.arm import Arm
from armctl.errors import UsageError
from armctl.identify import parameters
from armctl.plant.scenario import Scenario, plant_params
from armctl.urdf import load_chain
from armctl.urdf.inertia import second_moment

CHAIN = load_chain("panda")
ITEMS = parameters.parameters(CHAIN, parameters.GROUPS)
SCALES = np.array([item.scale or 0.1 for item in ITEMS])
vectors = st.lists(st.floats(-20, 20), min_size=len(ITEMS), max_size=len(ITEMS)).map(lambda x: SCALES * np.array(x))
TRUE = Scenario(
    payload_mass=1.5,
    payload_com=(0.03, -0.02, 0.06),
    viscous=0.3,
    coulomb=tuple(0.1 * i for i in range(7)),
    inertia_scale=tuple(1 + 0.05 * i for i in range(7)),
)
FIELDS = {"payload": ("payload_mass", "payload_com"), "friction": ("viscous", "coulomb"), "inertia": ("inertia_scale",)}


def assert_same_plants(a, b):
    for name in ("mass", "first_moment", "inertia", "gravity"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12, atol=1e-14, err_msg=name)
    none = np.zeros(CHAIN.n)
    for of in (lambda p: p.effects.get("viscous", none), lambda p: p.effects.get("dry_friction", [none])[0]):
        np.testing.assert_allclose(of(a), of(b), rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("groups", [("payload",), ("friction",), ("inertia", "payload"), parameters.GROUPS])
def test_values_of_a_scenario_are_its_plant(groups):
    known = {
        "payload": ("payload_mass", "payload_com"),
        "friction": ("viscous", "coulomb"),
        "inertia": ("inertia_scale",),
    }
    scenario = Scenario(**{name: getattr(TRUE, name) for group in groups for name in known[group]})
    items = parameters.parameters(CHAIN, groups)
    values = parameters.known_values(CHAIN, items, scenario)
    assert len(values) == len(items)
    assert_same_plants(parameters.plant(Arm.from_chain(CHAIN), items, values), plant_params(CHAIN, scenario))


@pytest.mark.usefixtures("x64")
def test_the_nominal_arm_has_a_vector_too():
    theta = parameters.vector(ITEMS, parameters.known_values(CHAIN, ITEMS, Scenario()))
    values = parameters.physical(ITEMS, theta)
    assert_same_plants(parameters.plant(Arm.from_chain(CHAIN), ITEMS, values), plant_params(CHAIN, Scenario()))


@settings(deadline=None, max_examples=40)
@given(vectors)
def test_vector_and_values_are_inverses(theta):
    with jax.enable_x64(True):
        values = np.asarray(parameters.physical(ITEMS, theta))
    back = parameters.vector(ITEMS, values)
    np.testing.assert_allclose(back, theta, rtol=1e-6, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(vectors)
def test_every_vector_is_a_physical_arm(theta):
    with jax.enable_x64(True):
        plant = parameters.plant(Arm.from_chain(CHAIN), ITEMS, parameters.physical(ITEMS, theta))
        params = jax.tree.map(np.asarray, plant)
    assert (params.effects["viscous"] >= 0).all()
    assert (params.effects["dry_friction"].moving >= 0).all()
    for mass, moment, inertia in zip(*params[:3], strict=True):
        # the pseudo-inertia, relative to its own size, is positive definite
        pseudo = np.block([[second_moment(inertia), moment[:, None]], [moment[None], mass]])
        size = np.sqrt(np.diag(pseudo))
        assert mass > 0
        assert np.linalg.eigvalsh(pseudo / np.outer(size, size))[0] > -1e-12


@pytest.mark.usefixtures("x64")
def test_slopes_are_derivatives():
    theta = SCALES * np.random.default_rng(0).normal(size=len(ITEMS))
    jacobian = jax.jacfwd(lambda x: parameters.physical(ITEMS, x))(theta)
    np.testing.assert_allclose(np.diag(parameters.slopes(ITEMS, theta)), jacobian, atol=1e-12)


@pytest.mark.parametrize("groups", [(), ("payload", "colour")])
def test_unknown_groups_are_named(groups):
    with pytest.raises(UsageError, match="payload, friction, inertia"):
        parameters.parameters(CHAIN, groups)
