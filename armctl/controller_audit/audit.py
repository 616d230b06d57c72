"""The audit of one controller: every weakness measured, in a run folder with pictures and a page."""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from armctl import store
from armctl.bench.outside import is_outside
from armctl.controller_audit import instability, opacity, over_fitting, over_sensitivity, pictures
from armctl.controller_audit.config import ControllerAuditConfig
from armctl.controller_audit.page import TITLES, write_page
from armctl.controller_audit.subject import Finding, make_subject, whole
from armctl.controllers.base import Controller
from armctl.errors import UsageError
from armctl.jobs import Where, run_jobs
from armctl.urdf import load_chain

WEAKNESSES = {
    module.__name__.rpartition(".")[2]: module for module in (over_fitting, over_sensitivity, instability, opacity)
}
STAGES = 1 + len(WEAKNESSES)
"""How often an audit says what has ended."""
DEFAULT = "default gains"
UNTRAINED = "It has default gains: what is called training here are motions and plants that it never met."


def audit_controller(
    controller: Controller,
    config: ControllerAuditConfig | None = None,
    out: str | Path = "runs/audit",
    *,
    given: str = DEFAULT,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
    where: Where | None = None,
) -> dict[str, Any]:
    """Measure a controller's weaknesses in the twin, write a run folder, and return its summary.

    controller: made for the arm config.robot; config: motions and plants, defaults when None; out: the run folder;
    given: where its parameters are from, in words; progress: told what has ended, STAGES times; where: what measures,
    this process when None; each weakness is a job.
    The folder holds config.json, summary.json (numbers, and a sentence for each), series.npz, the pictures as PNG and
    SVG, and audit.html, which needs nothing outside itself.
    Raises UsageError for a folder that exists, and where controller and config do not fit.
    """
    config = config or ControllerAuditConfig()
    if is_outside(controller):
        raise UsageError(
            f"The audit differentiates through the controller; {type(controller).__name__} is no armctl.Controller: "
            "bench it instead."
        )
    if controller.control_dt != config.control_dt:
        raise UsageError(
            f"control_dt is {config.control_dt:g} s, the controller's {controller.control_dt:g} s; give it the same."
        )
    name, out = load_chain(config.robot).name, Path(out)
    if controller.arm.name != name:
        raise UsageError(f"The controller is for {controller.arm.name}, not {name}; give its own robot.")
    where = where or Where()
    where.check()
    store.create_run(out, config, overwrite=overwrite)
    tell, measured = progress or (lambda text: None), {}
    for weakness, one in run_jobs(partial(_measurer, controller, config), list(WEAKNESSES), where):
        tell(f"measured {TITLES[weakness].lower()}")
        measured[weakness] = one
    found = {weakness: measured[weakness].finding for weakness in WEAKNESSES}
    summary = _summary(name, controller, config, given, found)
    seconds = {TITLES[weakness].lower(): measured[weakness].seconds for weakness in WEAKNESSES}
    first = max(one.first_seconds for one in measured.values())
    summary["seconds"] = {"first run, with compilation": first, **seconds}
    series = {name: x for finding in found.values() for name, x in finding.series.items()}
    series["dt"] = np.asarray(config.control_dt)
    store.save_arrays(out / "series.npz", series)
    drawn = pictures.write(out, summary["findings"], series)
    tell("drew pictures")
    store.write_json(out / "summary.json", summary)
    store.write_text(out / "audit.html", write_page(summary, drawn))
    store.finish_run(out)
    return summary


class _Measured(NamedTuple):
    """A weakness, and how long the worker's first run and this measurement took."""

    finding: Finding
    first_seconds: float
    seconds: float


def _measurer(controller: Controller, config: ControllerAuditConfig) -> Callable[[str], _Measured]:
    """A function that measures a weakness; the run that all are compared with is made once."""
    started = time.perf_counter()
    subject = make_subject(controller, config)
    base = whole(subject)
    first = time.perf_counter() - started

    def measure(weakness: str) -> _Measured:
        begun = time.perf_counter()
        finding = WEAKNESSES[weakness].measure(subject, base)
        return _Measured(finding, first, time.perf_counter() - begun)

    return measure


def _summary(
    robot: str, controller: Controller, config: ControllerAuditConfig, given: str, found: dict[str, Finding]
) -> dict[str, Any]:
    sentences = {name: finding.sentences for name, finding in found.items()}
    if given == DEFAULT:
        sentences["over_fitting"] = [*sentences["over_fitting"], UNTRAINED]
    return {
        "controller": controller.title,
        "name": controller.name,
        "robot": robot,
        "given": given,
        "config": asdict(config),
        "versions": store.versions(),
        "findings": {name: finding.numbers for name, finding in found.items()},
        "sentences": sentences,
    }
