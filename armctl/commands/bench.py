"""`armctl bench`: controllers on the same seeded episodes in PyBullet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from armctl.bench.plan import BenchConfig
from armctl.chain import Chain
from armctl.commands.console import bench_table, compiling, results_only, say, show
from armctl.commands.motions import generated
from armctl.commands.parsing import Address, Flag, Folder, Limit, check_out, parse, part, words
from armctl.errors import UsageError
from armctl.motion.reference import Reference
from armctl.scene import Scene, load_scene
from armctl.urdf import load_chain

if TYPE_CHECKING:
    from armctl.controllers.base import Controller
    from armctl.plant.scenario import Scenario

SCENARIOS = "nominal,payload"


@dataclass(frozen=True)
class BenchArguments(BenchConfig):
    """Run controllers on the same seeded episodes in PyBullet and write episodes.csv, summary.json and report.html."""

    controllers: str = "classical"
    """Controllers, separated by commas: names (with what is shipped for the arm; NAME:default without), run folders of
    `tune` or `train`, your own as FILE.py:CLASS or MODULE:CLASS, policies of stable-baselines3 or sbx as FILE.zip or
    FILE.zip:CONTROL; with LABEL= in front under another name. `classical` is all classical ones."""
    task: Literal["track", "reach"] = "track"
    """What is asked where no suite is named: to follow the shapes (in a scene the suite corpus), or to reach random
    goals (suites reach, goal)."""
    suite: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Suite (shapes, iso9283, corpus, generated, reach, goal), folder of .npz or .csv references, or FILE.py:FUNCTION
    of the arm's chain that returns references."""
    metric: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A metric of your own, FILE.py:FUNCTION of an Episode that returns a number."""
    scenarios: str = SCENARIOS
    """Scenario presets, separated by commas (`grid` is all plants of the grid), or a TOML file of scenarios."""
    grid: Flag = False
    """The same as --scenarios grid."""
    curves: Flag = False
    """Also run six references of each suite over payload, delay and friction, and plot the errors."""
    limit: Limit = None
    """Largest number of references per suite."""
    generator: Folder = None
    """Folder of `train generator` or `sample`, for the suite generated."""
    subject: str = ""
    """The controller, by its label, that the report is about; the best that is learned or your own if absent."""
    out: Path = Path("runs/bench")
    """Run folder to write."""
    overwrite: Flag = False
    """Replace an existing run; the old one is kept until the new one is complete."""
    resume: Flag = False
    """Continue an interrupted run with the same settings."""
    animation: bool = True
    """Whether the report shows the arm moving (a few seconds to render)."""
    json: Flag = False
    """Print JSON instead of a table."""
    jobs: Limit = None
    """Worker processes; this process alone if absent or, on Ray, one on each CPU of the cluster."""
    ray: Address = None
    """Run on a Ray cluster: HOST:PORT of its head, or auto for the one that runs on this machine."""


def run_bench(argv: Sequence[str], prog: str) -> int:
    """`armctl bench`; returns the exit status."""
    arguments = parse(BenchArguments, argv, prog)
    config, chain = part(arguments, BenchConfig), load_chain(arguments.robot)
    check_out(arguments.out, overwrite=arguments.overwrite, resume=arguments.resume)
    scene = None if arguments.scene is None else load_scene(arguments.scene, chain)
    if arguments.grid and arguments.scenarios != SCENARIOS:
        raise UsageError(
            f"--grid and --scenarios {arguments.scenarios} exclude each other; --scenarios grid,NAME takes both."
        )
    scenarios = load_scenarios("grid" if arguments.grid else arguments.scenarios)
    from armctl.bench import curves, run
    from armctl.bench.outside import is_outside
    from armctl.report.page import write_report

    controllers, records = load_controllers(named(words(arguments.controllers, "--controllers")), config)
    suites = load_suites(arguments, chain, scene)
    if compiled := sum(not is_outside(one) for one in controllers.values()):
        compiling(5 * compiled, f"{compiled} controller(s)")
    with results_only():
        summary = run.run_bench(
            controllers, suites, scenarios, arguments.out, config=config, metrics=load_metrics(arguments.metric),
            records=records, subject=arguments.subject, scene=scene, overwrite=arguments.overwrite,
            resume=arguments.resume,
        )  # fmt: skip
        if arguments.curves:
            say("running the curves")
            summary = curves.run_curves(
                config, controllers, suites, arguments.out, records=records, resume=arguments.resume
            )  # fmt: skip
    say("writing the report" + ", about 10 s with its animation" * arguments.animation)
    report = write_report(arguments.out, animation=arguments.animation)
    show({**summary, "report": str(report)}, f"{bench_table(summary)}\n\nreport: {report}", arguments.json)
    return 0


def named(entries: list[str]) -> list[str]:
    """The entries of --controllers, with the names of all classical ones in place of `classical`."""
    from armctl.controllers.registry import known

    return list(dict.fromkeys(name for e in entries for name in (known(e) if e == "classical" else [e])))


def load_scenarios(given: str) -> list[str] | dict[str, "Scenario"]:
    """Presets by name, those of the grid for `grid`, or the scenarios of a TOML file.

    Raises UsageError for unknown names and unusable files.
    """
    from armctl.bench.grid import GRID
    from armctl.plant import sweep
    from armctl.plant.presets import check_preset

    if given.endswith(".toml"):
        return sweep.load_scenarios(given)
    entries = words(given, "--scenarios")
    return list(dict.fromkeys(name for e in entries for name in (GRID if e == "grid" else [check_preset(e)])))


def load_controllers(
    entries: list[str], config: BenchConfig
) -> tuple[dict[str, "Controller"], dict[str, dict[str, Any]]]:
    """Controllers by their label in the bench, and what each was given; entries as of --controllers.

    Raises UsageError for an unknown name, an unusable folder, or two controllers with one label.
    """
    from armctl.arm import load_arm

    arm = load_arm(config.robot)
    controllers: dict[str, Controller] = {}
    records: dict[str, dict[str, Any]] = {}
    for entry in entries:
        label, controller, record = load_controller(entry, arm, config)
        if label in controllers:
            raise UsageError(f"Two controllers would be called '{label}'; tell them apart with LABEL=.")
        controllers[label], records[label] = controller, record
    return controllers, records


def load_controller(entry: str, arm: Any, config: BenchConfig) -> tuple[str, "Controller", dict[str, Any]]:
    """Label, controller and record of one entry: NAME, FOLDER, FILE.py:CLASS, FILE.zip, or LABEL= one of them."""
    from armctl.bench.tuning import describe_tuning

    label, controller, folder = find_controller(entry, arm, config)
    return label, controller, {} if folder is None else describe_tuning(folder)


def find_controller(entry: str, arm: Any, config: BenchConfig) -> tuple[str, "Controller", Path | None]:
    """Label, controller and the run folder that its parameters are from, None for its class's own.

    Raises UsageError for an unknown name, an unusable folder or file, and a class that makes no controller.
    """
    from armctl.bench.own_controller import is_own, load_own
    from armctl.bench.tuning import unfinished
    from armctl.controllers import registry, saved, shipped
    from armctl.rl.settings import is_policy_run

    label, source = labelled(entry)
    if source.endswith(".py"):
        raise UsageError(f"'{source}' is a file; name the class in it, as {source}:NAME.")
    known = source.removesuffix(shipped.DEFAULT) in registry.known()
    if not known and is_own(source) and not source.endswith(shipped.DEFAULT):
        name, controller = load_own(source, arm, config)
        return label or name, controller, Path(source) if is_policy_run(source) else None
    if known or not Path(source).exists():
        return label or source.replace(":", "-"), *shipped.best(source, arm, config.control_dt)
    if short := unfinished(source):
        say(f"'{source}' is benched as it stands, unfinished: {short}")
    controller = saved.load(source, arm)
    if controller.control_dt != config.control_dt:
        raise UsageError(
            f"'{source}' was trained with control_dt {controller.control_dt:g} s, not {config.control_dt:g} s; "
            f"use --control-dt {controller.control_dt:g}."
        )
    check_finite(source, saved.parameters(controller))
    return label or Path(source).resolve().name, controller, Path(source)


def labelled(entry: str) -> tuple[str, str]:
    """Label and source of LABEL=SOURCE; no label where the whole is a path, as of a folder called lr=0.1."""
    label, sign, source = entry.partition("=")
    whole = Path(entry.rpartition(":")[0] or entry).exists() or Path(entry).exists()
    return ("", entry) if whole or not sign or "/" in label else (label, source)


def check_finite(source: str, parameters: dict[str, Any]) -> None:
    """Raise UsageError where a saved parameter is not a finite number."""
    import numpy as np

    bad = [name for name, value in parameters.items() if not np.isfinite(value).all()]
    if bad:
        raise UsageError(f"'{source}' holds parameters that are not finite ({bad[0]}); train it again.")


def load_metrics(entries: Sequence[str]) -> dict[str, Any]:
    """Metrics of the user's own by the name of their function; entries: FILE.py:FUNCTION or MODULE:FUNCTION."""
    from armctl.bench.sources import is_source, load_source

    for entry in entries:
        if not is_source(entry):
            raise UsageError(f"--metric is '{entry}'; name a function as FILE.py:FUNCTION or MODULE:FUNCTION.")
    names = [entry.rpartition(":")[2] for entry in entries]
    if len(set(names)) < len(names):
        raise UsageError(f"Two of the metrics {', '.join(names)} have one name; rename one of the functions.")
    return {name: load_source(entry) for name, entry in zip(names, entries, strict=True)}


def load_suites(arguments: BenchArguments, chain: Chain, scene: Scene | None) -> dict[str, list[Reference]]:
    """References of every suite that was named; in a scene those that keep clear of it."""
    from armctl.bench.suite import load_suite, suite_name

    suites: dict[str, list[Reference]] = {}
    alone = {"track": ("shapes" if scene is None else "corpus",), "reach": ("reach", "goal")}
    for name in arguments.suite or alone[arguments.task]:
        if suite_name(name) in suites:
            raise UsageError(f"Two suites would be called '{suite_name(name)}'; rename one of the folders.")
        suites[suite_name(name)] = load_suite(
            name, chain, dt=arguments.control_dt, limit=arguments.limit, seed=arguments.seed, scene=scene,
            generated=generated(name, arguments.generator, chain, arguments.control_dt, arguments.limit, scene),
        )  # fmt: skip
        if arguments.task == "reach" and any("goal" not in one.meta for one in suites[suite_name(name)]):
            raise UsageError(f"--task reach needs goals, which suite '{suite_name(name)}' has not; leave out --task.")
    return suites
