"""`armctl doctor`: is this machine able to run armctl, and is the twin of an arm to be trusted?"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from armctl import store
from armctl.chain import Chain
from armctl.commands.console import say, show, stages, table
from armctl.commands.parsing import Flag, parse
from armctl.errors import UsageError
from armctl.urdf import load_chain

PARITY = 1e-6  # rad, in float64
Check = Callable[[Chain], str]


@dataclass(frozen=True)
class DoctorArguments:
    """Check this machine: versions, PyBullet, JAX, the cache folder, and that the twin steps as PyBullet does."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    twin: Flag = False
    """Audit the twin of the robot against PyBullet instead: parity, gradients, growth of rollouts (a minute)."""
    scenarios: Flag = False
    """Print instead from what the scenario presets draw, in the size of the robot."""
    json: Flag = False
    """Print JSON instead of a table."""


def run(argv: Sequence[str], prog: str) -> int:
    """Run every check, or the audit of a twin, and print what came of it; returns 1 if something is wrong."""
    arguments = parse(DoctorArguments, argv, prog)
    chain = load_chain(arguments.robot)
    if arguments.twin:
        return audit(chain, arguments.json)
    if arguments.scenarios:
        return describe_scenarios(chain, arguments.json)
    rows = [judge(name, check, chain) for name, check in CHECKS.items()]
    good = all(row["result"] == "ok" for row in rows)
    end = "everything works" if good else "something is wrong: see the lines marked WRONG"
    show({"ok": good, "checks": rows}, f"{table(rows)}\n\n{end}", arguments.json)
    return 0 if good else 1


def describe_scenarios(chain: Chain, as_json: bool) -> int:
    """Print the distribution of every field of every preset."""
    from armctl.plant.presets import PRESETS, SCALES

    sizes = {name: np.round(size(chain), 3).tolist() for name, size in SCALES.items() if name}
    drawn = {name: {field: str(draw) for field, draw in preset.draws.items()} for name, preset in PRESETS.items()}
    lines = []
    for name, preset in PRESETS.items():
        lines += [f"{name}: {preset.about}", *(f"    {field:18} {text}" for field, text in drawn[name].items()), ""]
    lines += [f"U is uniform. Sizes of {chain.name}:", *(f"    {name:18} {size}" for name, size in sizes.items())]
    presets = {name: {"about": PRESETS[name].about, "fields": fields} for name, fields in drawn.items()}
    show({"robot": chain.name, "sizes": sizes, "presets": presets}, "\n".join(lines), as_json)
    return 0


def audit(chain: Chain, as_json: bool) -> int:
    """Audit the twin of an arm and print the findings; returns 1 if the twin is not PyBullet's arm."""
    from armctl.audit.verdict import STAGES, audit_twin
    from armctl.commands.twin_report import text

    with stages(STAGES, "audit twin") as tell:
        found = audit_twin(chain, tell)
    show(found, text(found), as_json)
    return 0 if found["ok"] else 1


def judge(name: str, check: Check, chain: Chain) -> dict[str, str]:
    """One row of the result; any exception is a finding, not a crash."""
    say(f"checking {name}")
    try:
        return {"check": name, "result": "ok", "detail": check(chain)}
    except Exception as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        return {"check": name, "result": "WRONG", "detail": detail}


def check_python(chain: Chain) -> str:
    """Version of Python."""
    if sys.version_info[:2] != (3, 11):
        raise UsageError(f"Python {sys.version.split()[0]}; PyBullet and this armctl need Python 3.11.")
    return f"{sys.version.split()[0]} at {sys.executable}"


def check_packages(chain: Chain) -> str:
    """Versions of the packages that results depend on."""
    found = store.versions()
    absent = [name for name, version in found.items() if version == "absent"]
    if absent:
        raise UsageError(f"not installed: {', '.join(absent)}; run 'pip install armctl' in this environment.")
    return ", ".join(f"{name} {version}" for name, version in found.items() if name != "python")


def check_pybullet(chain: Chain) -> str:
    """PyBullet connects and loads the arm."""
    from armctl.envs.bullet.plant import Plant
    from armctl.plant.servo import ServoConfig

    Plant(chain, ServoConfig()).close()
    return f"connects and loads {chain.name} with {chain.n} joints"


def check_jax(chain: Chain) -> str:
    """JAX compiles and runs the dynamics."""
    import jax

    from armctl.arm import Arm
    from armctl.dynamics import forward_dynamics

    arm, started = Arm.from_chain(chain).astype(np.float32), time.perf_counter()
    zero = np.zeros(chain.n, np.float32)
    qdd = jax.jit(forward_dynamics)(arm, np.float32(chain.home), zero, zero)
    if not np.isfinite(qdd).all():
        raise UsageError(f"the forward dynamics of {chain.name} are not finite at its home posture.")
    devices = ", ".join(sorted({device.platform for device in jax.devices()}))
    seconds = time.perf_counter() - started
    return f"backend {devices}, {len(jax.devices())} device(s), dynamics compiled in {seconds:.1f} s"


def check_cache(chain: Chain) -> str:
    """The folder of compiled programs can be written."""
    folder = Path(os.environ.get("JAX_COMPILATION_CACHE_DIR", "~/.cache/armctl/jax")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return str(folder)


def check_parity(chain: Chain) -> str:
    """The twin and PyBullet move alike under the same torques."""
    from armctl.audit.rollouts import torque_parity

    found = torque_parity(chain, steps=20)
    error, steps = found["max_joint_error_rad"], found["physics_steps"]
    if not error < PARITY:
        raise UsageError(f"the twin of {chain.name} is {error:.1e} rad off PyBullet; less than {PARITY:g} is expected.")
    return f"twin and PyBullet differ by {error:.1e} rad over {steps} physics steps of {chain.name}"


CHECKS: dict[str, Check] = {
    "python": check_python,
    "packages": check_packages,
    "pybullet": check_pybullet,
    "jax": check_jax,
    "cache folder": check_cache,
    "twin parity": check_parity,
}
