"""`armctl sample` and `armctl suite`: folders of references."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from armctl import store
from armctl.chain import Chain
from armctl.commands.console import say, show, table
from armctl.commands.motions import generated, propose_certified
from armctl.commands.parsing import Flag, Folder, Limit, check_out, parse
from armctl.errors import UsageError
from armctl.motion.certificate import check_measured
from armctl.motion.free import check_scene
from armctl.motion.postures import postures
from armctl.motion.reference import Reference
from armctl.motion.sampling import check_eta
from armctl.plant.presets import check_preset
from armctl.scene import load_scene
from armctl.urdf import load_chain

WISHES = ("start", "goal", "via", "duration", "speed", "difficulty", "family", "scene")
DRAWN, PICTURE = 8, "motions.png"  # so many motions, lest none be told from another
SMALL: dict[str, Any] = {"motions": 400, "steps": 500, "width": 128, "batch": 128}  # a generator made on the spot


@dataclass(frozen=True)
class SampleArguments:
    """Propose new goal trajectories, have each certified by the independent checker, and write them to a folder."""

    count: int = 16
    """Certified references to write."""
    start: Annotated[str | None, tyro.conf.arg(metavar="POSTURE")] = None
    """Where motions start: joints in rad as "0 -0.5 0 -2 0 1.6 0.8", the tip as "pose X Y Z [ROLL PITCH YAW]" or with a
    quaternion xyzw, angles in degrees with "deg" at the end, or "home"; drawn as in the corpus if absent. Write
    --start="-0.5 ..." where the first number is negative."""
    goal: Annotated[str | None, tyro.conf.arg(metavar="POSTURE")] = None
    """Where they end, likewise."""
    via: Annotated[tuple[str, ...], tyro.conf.arg(metavar="POSTURE")] = ()
    """What they pass on the way, likewise, in this order; at most four."""
    duration: Annotated[float | None, tyro.conf.arg(metavar="SECONDS")] = None
    """How long a motion takes, s, in place of a speed."""
    speed: Annotated[float | None, tyro.conf.arg(metavar="FLOAT")] = None
    """Share of the arm's limits that the motion uses, in (0, 1]; drawn as in the corpus if absent."""
    difficulty: Annotated[float | None, tyro.conf.arg(metavar="FLOAT")] = None
    """Percentile in [0, 1] of the error that controllers are expected to make; 1 is the hardest."""
    family: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Motion family, such as line or figure_eight; drawn as in the corpus if absent."""
    scene: str | None = None
    """Obstacles to keep off: table, shelf, pillars, bin, wall, or a .json, .toml or .urdf file; those that the
    generator was trained among if absent."""
    scenario: str = "payload"
    """Plants on which a small generator, made for this call, learns what is difficult if a difficulty is asked for."""
    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    generator: Folder = None
    """Folder of `armctl train generator`; a small generator is trained for this call if absent."""
    out: Path = Path("runs/references")
    """Folder to write."""
    control_dt: float = 0.01
    """Sampling period of the references, s."""
    seed: int = 0
    """Seed of the contexts and noise."""
    overwrite: Flag = False
    """Replace a folder of references written by armctl."""
    json: Flag = False
    """Print JSON instead of a table."""


def run_sample(argv: Sequence[str], prog: str) -> int:
    """`armctl sample`; returns the exit status."""
    arguments = parse(SampleArguments, argv, prog)
    chain = load_chain(arguments.robot)
    check_out(arguments.out, overwrite=arguments.overwrite, kind="references")
    _check(arguments)
    _check_postures(arguments, chain)
    check_measured(chain)
    from armctl.generator import write_references
    from armctl.report.motion_picture import draw_motions

    model = _generator(arguments, chain)
    found, stats = propose_certified(
        model, chain, arguments.count, dt=arguments.control_dt, seed=arguments.seed,
        **{name: getattr(arguments, name) for name in WISHES},
    )  # fmt: skip
    write_references(found, arguments.out, stats, overwrite=arguments.overwrite)
    scene = model.scene if arguments.scene is None else load_scene(arguments.scene, chain)
    draw_motions(chain, found[:DRAWN], scene, arguments.out / PICTURE)
    _show(arguments, found)
    return 0


def _check(arguments: SampleArguments) -> None:
    """Raise UsageError for what the generator would refuse only after it has been trained."""
    from armctl.generator.paths import check_percentile
    from armctl.generator.request import check_duration, check_vias
    from armctl.motion.families import FAMILIES

    if arguments.count < 1:
        raise UsageError(f"--count is {arguments.count}; ask for at least 1 reference.")
    if arguments.speed is not None:
        check_eta(arguments.speed, "--speed")
    check_duration(arguments.speed, arguments.duration)
    check_vias(arguments.via)
    if arguments.difficulty is not None:
        check_percentile(arguments.difficulty)
        check_preset(arguments.scenario)
    if arguments.family is not None and arguments.generator is None and arguments.family not in FAMILIES:
        raise UsageError(f"Unknown family {arguments.family!r}; choose one of {', '.join(FAMILIES)}.")


def _check_postures(arguments: SampleArguments, chain: Chain) -> None:
    """Raise UsageError for a start, goal or via point that the arm cannot take in the scene."""
    scene = None if arguments.scene is None else load_scene(arguments.scene, chain)
    check_scene(chain, scene)
    asked = {"start": arguments.start, "goal": arguments.goal}
    asked |= {f"via {k + 1}": via for k, via in enumerate(arguments.via)}
    for what, posture in asked.items():
        if posture is not None:
            postures(posture, chain, what, scene=scene)


def _generator(arguments: SampleArguments, chain: Chain) -> Any:
    from armctl.generator import load_model

    if arguments.generator is not None:
        return load_model(arguments.generator)
    from armctl.commands.generator import GeneratorConfig, corpus, train

    say(
        f"no --generator given: training a small one for this call only ({SMALL['steps']} steps on {SMALL['motions']} "
        f"motions); 'armctl train generator --robot {arguments.robot}' makes a full one to keep"
    )
    scenario = None if arguments.difficulty is None else arguments.scenario
    config = GeneratorConfig(
        robot=arguments.robot, seed=arguments.seed, scene=arguments.scene, difficulty_scenario=scenario, **SMALL
    )
    return train(config, chain, corpus(config, chain))[0]


@dataclass(frozen=True)
class SuiteArguments:
    """Write the references of a named suite to a folder, as .npz."""

    suite: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SUITE")]
    """Suite: shapes, iso9283, corpus, generated, or a folder of .npz or .csv references."""
    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    out: Folder = None
    """Folder to write; runs/ROBOT-SUITE if absent."""
    scene: str | None = None
    """Obstacles that the motions keep off: table, shelf, pillars, bin, wall, or a .json, .toml or .urdf file."""
    limit: Limit = None
    """Largest number of references."""
    generator: Folder = None
    """Folder of `armctl train generator`, for the suite generated."""
    control_dt: float = 0.01
    """Sampling period of the references, s."""
    seed: int = 0
    """Seed of the corpus."""
    overwrite: Flag = False
    """Replace a folder of references written by armctl."""
    json: Flag = False
    """Print JSON instead of a table."""


def run_suite(argv: Sequence[str], prog: str) -> int:
    """`armctl suite SUITE`; returns the exit status."""
    from armctl.bench.suite import load_suite, suite_name

    arguments = parse(SuiteArguments, argv, prog)
    chain = load_chain(arguments.robot)
    out = arguments.out or Path("runs") / f"{chain.name}-{suite_name(arguments.suite)}"
    check_out(out, overwrite=arguments.overwrite, kind="references")
    scene = None if arguments.scene is None else load_scene(arguments.scene, chain)
    check_scene(chain, scene)
    found = load_suite(
        arguments.suite, chain, dt=arguments.control_dt, limit=arguments.limit, seed=arguments.seed, scene=scene,
        generated=generated(arguments.suite, arguments.generator, chain, arguments.control_dt, arguments.limit, scene),
    )  # fmt: skip
    from armctl.generator import write_references

    write_references(found, out, overwrite=arguments.overwrite)
    _show(arguments, found, out)
    return 0


def _show(arguments: SampleArguments | SuiteArguments, found: list[Reference], out: Path | None = None) -> None:
    out = out or Path(str(arguments.out))
    rows = [
        {
            "reference": one.name,
            "family": one.meta.get("family"),
            "duration_s": round(one.duration, 3),
            "speed": _rounded(one.meta.get("eta")),
            "difficulty": _rounded(one.meta.get("difficulty")),
            "binding": one.meta.get("binding"),
        }
        for one in found
    ]
    summary = {**store.read_json(out / "summary.json"), "references": rows, "folder": str(out)}
    proposals = summary.get("proposals")
    rate = f", {proposals['acceptance_rate']:.0%} of the proposals certified" if proposals else ""
    picture = f", drawn in {out / PICTURE}" if (out / PICTURE).is_file() else ""
    show(summary, f"{table(rows)}\n\n{len(rows)} references in {out}{rate}{picture}", arguments.json)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)
