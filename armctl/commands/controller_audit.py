"""`armctl audit CONTROLLER`: what a controller is not good at, measured in the twin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl import store
from armctl.bench.plan import BenchConfig
from armctl.bench.tuning import describe_tuning
from armctl.commands.bench import find_controller
from armctl.commands.console import results_only, show, stages
from armctl.commands.parsing import Address, Flag, Folder, Limit, check_out, parse, part
from armctl.controller_audit.config import ControllerAuditConfig
from armctl.jobs import Where
from armctl.urdf import load_chain


@dataclass(frozen=True)
class AuditArguments(ControllerAuditConfig):
    """Measure a controller's over-fitting, over-sensitivity, instability and opacity in the twin; write audit.html."""

    controller: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CONTROLLER")] = tyro.MISSING
    """Controller by name (with what is shipped for the arm; NAME:default without), or run folder of `tune` or `train`;
    what it was trained on is read from its folder."""
    out: Folder = None
    """Run folder to write; runs/ROBOT-CONTROLLER-audit if absent."""
    overwrite: Flag = False
    """Replace an existing run; the old one is kept until the new one is complete."""
    json: Flag = False
    """Print JSON in place of sentences."""
    jobs: Limit = None
    """Processes among which the weaknesses are shared out; this process measures all if absent."""
    ray: Address = None
    """Measure on a Ray cluster, a job for each weakness: HOST:PORT of its head, or auto for the one that runs on this
    machine."""


def run(argv: Sequence[str], prog: str) -> int:
    """`armctl audit CONTROLLER`; returns the exit status."""
    arguments = parse(AuditArguments, argv, prog)
    config, chain = part(arguments, ControllerAuditConfig), load_chain(arguments.robot)
    from armctl.arm import load_arm
    from armctl.controller_audit.audit import STAGES, audit_controller

    bench = BenchConfig(robot=config.robot, control_dt=config.control_dt, physics_dt=config.physics_dt)
    label, controller, folder = find_controller(arguments.controller, load_arm(config.robot), bench)
    out = arguments.out or Path("runs") / f"{chain.name}-{label}-audit"
    check_out(out, overwrite=arguments.overwrite)
    options: dict[str, Any] = {}
    if folder is not None:
        config = as_trained(config, folder)
        options["given"] = f"{label}: {describe_tuning(folder)['tuning_budget']}"
    where = Where(arguments.jobs, arguments.ray)
    with results_only(where != Where()), stages(STAGES, "audit", ended=True) as tell:
        summary = audit_controller(
            controller, config, out, overwrite=arguments.overwrite, progress=tell, where=where, **options
        )
    page = out / "audit.html"
    show({**summary, "page": str(page)}, f"{text(summary)}\n\npage: {page}", arguments.json)
    return 0


def as_trained(config: ControllerAuditConfig, folder: Path) -> ControllerAuditConfig:
    """The configuration with the motions and plants on which the controller of a run folder was trained."""
    trained = store.read_config(folder)
    names = {"references": "references", "scenario": "trained_on", "seed": "trained_seed"}
    return replace(config, **{new: trained[old] for old, new in names.items() if old in trained})


def text(summary: dict[str, Any]) -> str:
    """The findings in sentences, under their names."""
    from armctl.controller_audit.page import TITLES

    blocks = [f"{summary['controller']} on {summary['robot']}, scenario {summary['config']['scenario']}"]
    blocks += ["\n".join([title, *(f"* {s}" for s in summary["sentences"][name])]) for name, title in TITLES.items()]
    return "\n\n".join(blocks)
