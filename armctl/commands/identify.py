"""`armctl record` and `armctl identify`: a log of an arm, and the arm's parameters from its logs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from armctl.commands.console import compiling, counting, say, show, stages, table
from armctl.commands.parsing import Flag, Folder, check_out, parse, words
from armctl.errors import UsageError
from armctl.identify.log import load_log, save_log
from armctl.plant.presets import sample_scenario
from armctl.urdf import load_chain


@dataclass(frozen=True)
class RecordArguments:
    """Let a PyBullet arm move so that its parameters show, and write the log for `armctl identify`."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    scenario: str = "payload"
    """Preset that the true plant is drawn from: nominal, payload_ideal, payload, payload_friction or stress."""
    seconds: float = 5.0
    """Duration of the motion, s."""
    control_dt: float = 0.01
    """Time a command is held, s."""
    seed: int = 0
    """Seed of the true plant and of the motion."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("runs/log.npz")
    """File to write, .npz."""
    overwrite: Flag = False
    """Replace the file."""
    json: Flag = False
    """Print JSON instead of text."""


def run_record(argv: Sequence[str], prog: str) -> int:
    """`armctl record`; returns the exit status."""
    arguments = parse(RecordArguments, argv, prog)
    chain = load_chain(arguments.robot)
    if arguments.out.suffix != ".npz":
        raise UsageError(f"--out is '{arguments.out}'; a log is a .npz file.")
    if arguments.out.exists() and not (arguments.overwrite and arguments.out.is_file()):
        raise UsageError(f"'{arguments.out}' already exists; replace it with --overwrite, or name another file.")
    from armctl.identify.record import record

    scenario = sample_scenario(arguments.scenario, chain, np.random.default_rng(arguments.seed))
    steps = round(np.nan_to_num(arguments.seconds / arguments.control_dt))  # what is no duration is refused below
    with counting(steps, f"move {chain.name}", "step") as tell:
        log = record(
            chain, scenario, seconds=arguments.seconds, control_dt=arguments.control_dt, seed=arguments.seed,
            progress=tell,
        )  # fmt: skip
    save_log(log, arguments.out)
    facts = {"file": str(arguments.out), "robot": chain.name, "samples": len(log.q), "seconds": arguments.seconds}
    text = f"{len(log.q)} samples of {chain.name} under '{arguments.scenario}' in {arguments.out}"
    show({**facts, "scenario": arguments.scenario}, text, arguments.json)
    return 0


@dataclass(frozen=True)
class IdentifyArguments:
    """Estimate an arm's payload, friction or link inertia from its logs, by gradient through the twin."""

    logs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="LOG...")]
    """Logs of one arm: .npz with q, qd (K+1, n), command (K, n) and control_dt, as `armctl record` writes."""
    robot: str = "panda"
    """Nominal arm: name in the assets, or path of a URDF."""
    groups: str = "payload"
    """What to estimate, separated by commas: payload (mass, centre), friction (viscous, Coulomb), inertia (links)."""
    latency: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Control steps between a command and its effect; 0 to 3 are tried if absent."""
    window: int = 25
    """Samples that are predicted from one initial state."""
    out: Folder = None
    """Run folder to write; runs/ROBOT-identify if absent."""
    overwrite: Flag = False
    """Replace an existing run; the old one is kept until the new one is complete."""
    json: Flag = False
    """Print JSON instead of a table."""


def run_identify(argv: Sequence[str], prog: str) -> int:
    """`armctl identify LOG...`; returns the exit status."""
    arguments = parse(IdentifyArguments, argv, prog)
    chain = load_chain(arguments.robot)
    out = arguments.out or Path("runs") / f"{chain.name}-identify"
    check_out(out, overwrite=arguments.overwrite)
    if not arguments.logs:
        raise UsageError("No log is given; name at least one .npz, as 'armctl record' writes.")
    logs = [load_log(path, chain) for path in arguments.logs]
    from armctl.identify.fit import NOISE_ROUNDS, FitConfig, delays, identify
    from armctl.identify.output import write_run

    groups = tuple(words(arguments.groups, "--groups"))
    config = FitConfig(groups=groups, window=arguments.window, latency=arguments.latency)
    compiling(5)
    with stages(len(delays(config)) + NOISE_ROUNDS, "identify", ended=True) as tell:
        found = identify(chain, logs, config, tell)
    say("writing the identified arm and its picture")
    truths = [log.truth for log in logs]
    # one true plant is printed beside its estimate; logs of several have none in common
    truth = truths[0] if all(one == truths[0] for one in truths) else None
    summary = write_run(found, chain, out, arguments, truth=truth, overwrite=arguments.overwrite)
    show({**summary, "folder": str(out)}, _text(summary, out), arguments.json)
    return 0


def _text(summary: dict[str, Any], out: Path) -> str:
    """The table of estimates, what to beware of, and where the arm is."""
    rms = summary["residual_rms"]
    before, after = (rms[arm]["velocity_rad_s"] for arm in ("nominal", "identified"))
    facts = [
        f"latency {summary['latency']} steps, {summary['samples']} samples, {summary['iterations']} steps in "
        f"{summary['seconds']:.0f} s; velocities missed by {before:.2g} rad/s before, {after:.2g} after",
        *summary["warnings"],
        f"identified arm: {out / 'arm.urdf'} (for --robot), picture: {out / 'identify.png'}",
    ]
    return "\n".join([table(summary["parameters"]), "", *facts])
