"""What an export does: the commands of JAX, without JAX."""

import json
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from armctl import twin
from armctl.arm import load_arm
from armctl.controllers import make
from armctl.errors import UsageError
from armctl.export import export
from armctl.export.standalone import Controller
from armctl.motion.sampling import random_reference
from armctl.motion.windows import stack_references, windows
from armctl.plant.observe import Measurement
from armctl.plant.scenario import Scenario, plant_params
from armctl.plant.servo import ServoConfig
from armctl.urdf import load_chain
from tests.controllers.situations import compiled, single
from tests.quick import users_jit

NAMES = ("tracker", "computed_torque", "operational_space_integral", "diff_ik")
FORMS = [
    "numpy",
    pytest.param("c", marks=pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")),
    "onnx",
]
STEPS = 100
SOON = 20
"""Steps after which a filter has enlarged what rounding does so much that it says nothing of the arithmetic."""


def episode(name):
    """Measurements, windows and commands of a closed loop in the twin, the arm off its reference at first."""
    controller, call = compiled(name)
    chain = load_chain("planar3")
    bank = single(stack_references([random_reference(chain, np.random.default_rng(0), dt=0.01, duration=1.2)]))
    config, params = ServoConfig(control=controller.control), single(plant_params(chain, Scenario(payload_mass=0.3)))
    step = jax.jit(lambda state, command: twin.step(controller.arm, config, params, state, command, stops=False)[0])
    state = twin.reset(controller.arm, config, bank.samples.q[:, 0] + 0.02, bank.samples.qd[:, 0], params=params)
    carry, seen = controller.init_carry(()), []
    for k in range(STEPS):
        w = windows(bank, np.zeros(1, int), np.full(1, k), controller.preview)
        w = type(w)(*(np.asarray(x[0], np.float32) for x in w))
        m = Measurement(np.asarray(state.q[0]), np.asarray(state.qd[0]))
        carry, command = call(carry, m, w)
        seen.append((m, w, np.asarray(command)))
        state = step(state, command[None])
    return controller, seen


def of_jax(controller, episodes, dtype):
    """Commands (E, STEPS, n) of the JAX controller on what was seen in every episode, computed in some precision."""
    with jax.enable_x64(dtype == np.float64):
        graph, state = nnx.split(controller)
        state, start = cast((state, controller.init_carry(())), dtype)
        call = users_jit(lambda *args: nnx.merge(graph, state)(*args))
        rows = []
        for seen in episodes:
            carry, commands = start, []
            for m, w, _ in seen:
                carry, command = call(carry, *cast((m, w), dtype))
                commands.append(np.asarray(command))
            rows.append(commands)
    return np.array(rows)


def in_the_last_bit(seen, rng):
    """The same with measurements that are next to what they were in single precision, this way or that."""
    return [
        (Measurement(*(np.nextafter(x, rng.choice([-9, 9], x.shape).astype(x.dtype)) for x in m)), w, c)
        for m, w, c in seen
    ]


def cast(tree, dtype):
    return jax.tree.map(lambda x: jnp.asarray(x, dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def of_export(controller, seen, folder, form, dtype):
    """The same of its export, of two episodes one after the other."""
    if form == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    with jax.enable_x64(dtype == np.float64):
        exported = Controller(export(controller, folder, form, dtype=dtype))
    episodes = []
    for _ in range(2):
        exported.reset()
        episodes.append([exported(*m, w._asdict()) for m, w, _ in seen])
    return np.array(episodes)


@pytest.fixture(scope="module", params=NAMES)
def played(request):
    return episode(request.param)


@pytest.fixture(scope="module")
def true(played):
    """What the commands are, but for rounding."""
    controller, seen = played
    return of_jax(controller, [seen], np.float64)[0]


@pytest.fixture(scope="module")
def rounding(played, true):
    """What single precision makes of them at most: one run says little, they differ tenfold with the last bit."""
    controller, seen = played
    rng = np.random.default_rng(0)
    runs = of_jax(controller, [seen, *(in_the_last_bit(seen, rng) for _ in range(4))], np.float32)
    return largest(played, (runs - true)[:, :SOON])


def largest(played, off):
    controller, _ = played
    limit = controller.arm.effort if controller.control == "torque" else controller.arm.velocity
    return np.max(np.abs(off) / np.asarray(limit))


@pytest.mark.parametrize("form", FORMS)
def test_in_double_precision_an_export_gives_the_commands_of_jax(played, true, form, tmp_path):
    assert largest(played, of_export(*played, tmp_path, form, np.float64) - true) < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_in_single_precision_an_export_is_as_near_to_them_as_jax(played, true, rounding, form, tmp_path):
    off = of_export(*played, tmp_path, form, np.float32) - true
    assert largest(played, off[:, :SOON]) < 2 * rounding + 1e-6
    assert rounding < 1e-3


def test_an_export_runs_where_there_is_no_jax(tmp_path):
    folder = export(make("computed_torque", load_arm("planar3")), tmp_path / "out", "numpy")
    use = (
        "import sys; sys.modules['jax'] = None; sys.modules['armctl'] = None; import numpy as np\n"
        "from controller import Controller; c = Controller(); a = c.manifest['arrays']\n"
        "w = {name[7:]: np.zeros(x['shape']) for name, x in a.items() if name.startswith('window_')}\n"
        "print(c(np.zeros(3), np.zeros(3), w).shape, c.manifest['command']['unit'])"
    )
    said = subprocess.run([sys.executable, "-c", use], cwd=folder, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "(3,) N m"
    assert json.loads((folder / "manifest.json").read_text())["preview"] == 7


def test_a_controller_that_cannot_be_exported_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(UsageError, match="PathIntegral uses JAX's operation"):
        export(make("mppi", load_arm("planar3")), tmp_path / "out", "numpy")
    assert not (tmp_path / "out").exists()


def test_a_form_without_its_package_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("armctl.export.onnx_form.INSTALLED", False)
    with pytest.raises(UsageError, match=r"pip install 'armctl\[onnx\]'"):
        export(make("computed_torque", load_arm("planar3")), tmp_path / "out", "onnx")
    assert not (tmp_path / "out").exists()
