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
from armctl.controllers.computed_torque import ComputedTorque
from armctl.errors import UsageError
from armctl.export import export
from armctl.export.standalone import Controller
from armctl.motion.sampling import random_reference
from armctl.motion.windows import stack_references, windows
from armctl.plant.observe import Measurement, Window
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


class InJax:
    """The JAX controller in some precision: one compiled step, and where an episode begins."""

    def __init__(self, controller, dtype):
        self.dtype, self.double = dtype, dtype == np.float64
        with jax.enable_x64(self.double):
            graph, state = nnx.split(controller)
            state, self.start = cast((state, controller.init_carry(())), dtype)
            self._call = users_jit(lambda *args: nnx.merge(graph, state)(*args))

    def step(self, carry, m, w):
        """Memory after a step, and its command (n,)."""
        with jax.enable_x64(self.double):
            carry, command = self._call(*cast((carry, m, w), self.dtype))
        return carry, np.asarray(command)

    def run(self, seen):
        """Memory before every step, and the commands (STEPS, n) on what was seen."""
        carries, commands = [self.start], []
        for m, w, _ in seen:
            carry, command = self.step(carries[-1], m, w)
            carries.append(carry)
            commands.append(command)
        return carries[:-1], np.array(commands)


def in_the_last_bit(seen, rng):
    """The same with measurements that are next to what they were in single precision, this way or that."""
    return [
        (Measurement(*(np.nextafter(x, rng.choice([-9, 9], x.shape).astype(x.dtype)) for x in m)), w, c)
        for m, w, c in seen
    ]


def cast(tree, dtype):
    return jax.tree.map(lambda x: jnp.asarray(x, dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def exported(controller, folder, form, dtype):
    """Its export, ready to run."""
    if form == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    with jax.enable_x64(dtype == np.float64):
        return Controller(export(controller, folder, form, dtype=dtype))


def of_export(controller, seen, folder, form, dtype):
    """The commands of its export, of two episodes one after the other."""
    found, episodes = exported(controller, folder, form, dtype), []
    for _ in range(2):
        found.reset()
        episodes.append([found(*m, w._asdict()) for m, w, _ in seen])
    return np.array(episodes)


@pytest.fixture(scope="module", params=NAMES)
def played(request):
    return episode(request.param)


@pytest.fixture(scope="module")
def precise(played):
    """The controller in double precision."""
    return InJax(played[0], np.float64)


@pytest.fixture(scope="module")
def true(played, precise):
    """What the commands are, but for rounding."""
    return precise.run(played[1])[1]


@pytest.fixture(scope="module")
def rounded(played):
    """The controller in single precision, and what it makes of the episode: memories and commands."""
    coarse = InJax(played[0], np.float32)
    return coarse, *coarse.run(played[1])


@pytest.fixture(scope="module")
def rounding(played, true, rounded):
    """What single precision makes of the commands at most.

    One run says little: a filter carries rounding on and enlarges it, tenfold more or less with the last bit measured.
    """
    (_, seen), (coarse, _, commands), rng = played, rounded, np.random.default_rng(0)
    others = [coarse.run(in_the_last_bit(seen, rng))[1] for _ in range(7)]
    return largest(played, np.array([commands, *others]) - true)


def largest(played, off):
    controller, _ = played
    limit = controller.arm.effort if controller.control == "torque" else controller.arm.velocity
    return np.max(np.abs(off) / np.asarray(limit))


@pytest.mark.parametrize("form", FORMS)
def test_in_double_precision_an_export_gives_the_commands_of_jax(played, true, form, tmp_path):
    assert largest(played, of_export(*played, tmp_path, form, np.float64) - true) < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_in_single_precision_an_export_is_as_near_to_them_as_jax(played, true, rounding, form, tmp_path):
    assert largest(played, of_export(*played, tmp_path, form, np.float32) - true) < 2 * rounding + 1e-6


def test_in_single_precision_jax_is_near_to_them(played, true, rounded):
    assert largest(played, rounded[-1] - true) < 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_in_single_precision_every_step_of_an_export_is_as_near_as_jaxs(played, precise, rounded, form, tmp_path):
    """From the same memory, so that nothing is carried on."""
    (controller, seen), (_, carries, commands) = played, rounded
    found = exported(controller, tmp_path, form, np.float32)
    true, off = [], []
    for carry, (m, w, _) in zip(carries, seen, strict=True):
        true.append(precise.step(carry, m, w)[1])
        found._arrays |= {f"carry{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(carry))}
        found.reset()
        off.append(found(*m, w._asdict()) - true[-1])
    assert largest(played, np.array(off)) < 2 * largest(played, commands - np.array(true)) + 1e-6


class Turning(ComputedTorque):
    """Gives the other command where the first joint is beyond the middle."""

    def __call__(self, carry, m, w):
        carry, command = super().__call__(carry, m, w)
        return carry, jax.lax.cond(m.q[..., 0] > 0, lambda x: -x, lambda x: x, command)


@pytest.mark.parametrize("form", FORMS)
def test_an_export_takes_the_branch_that_jax_takes(form, tmp_path):
    controller = Turning(load_arm("planar3"))
    samples = controller.preview + 1
    w = Window(*(np.zeros((samples, *x), np.float32) for x in ((3,), (3,), (3,), (3,), (3, 3), (6,), (6,))))
    in_jax, out = InJax(controller, np.float32), exported(controller, tmp_path, form, np.float32)
    for first in (-0.2, 0.2):
        m = Measurement(np.array([first, 0.1, 0.3], np.float32), np.zeros(3, np.float32))
        out.reset()
        np.testing.assert_allclose(out(*m, w._asdict()), in_jax.step(in_jax.start, m, w)[1], rtol=1e-4, atol=1e-5)


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
