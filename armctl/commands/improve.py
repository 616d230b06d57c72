"""`armctl improve SUITE`: motions made shorter, smoother, clearer, or easier for a controller, through the twin."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from armctl.bench.plan import BenchConfig
from armctl.commands.bench import find_controller
from armctl.commands.console import compiling, counting, show, table
from armctl.commands.parsing import Flag, Folder, check_out, parse
from armctl.motion.certificate import check_measured
from armctl.motion.files import load_suite_dir
from armctl.motion.free import check_scene
from armctl.plant.presets import check_preset, sample_scenario
from armctl.scene import load_scene
from armctl.scene.named import NAMED
from armctl.settings import check_finite
from armctl.urdf import load_chain


@dataclass(frozen=True)
class ImproveArguments:
    """Move the inner control points of motions within a trust region until they are better; write those certified.

    Start and goal stay as they are; a motion of which nothing better is found is written as it was.
    """

    suite: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SUITE")]
    """Folder of references, as `sample` and `suite` write them."""
    aim: Annotated[str, tyro.conf.arg(metavar="AIM")] = "shorter"
    """shorter (in time, at the same share of the limits), smoother (less jerk), clearer (of the arm itself, the floor
    and the scene), or easier (less tracking error of the controller in the twin), the last three as long as before."""
    controller: Annotated[str | None, tyro.conf.arg(metavar="CONTROLLER")] = None
    """For whom motions are made easier, a name or run folder; its error is measured with other aims too."""
    scenario: str = "payload"
    """Preset of the true plants in the twin."""
    plants: int = 4
    """Plants that are drawn from it."""
    scene: str | None = None
    """Obstacles to keep off: table, shelf, pillars, bin, wall, or a .json, .toml or .urdf file; those of the named
    scene that the motions were made in if absent."""
    trust: float = 0.1
    """How far a control point may move, as a part of half its joint's range."""
    updates: int = 30
    """Gradient steps."""
    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    seed: int = 0
    """Seed of the plants."""
    out: Folder = None
    """Folder to write; SUITE-AIM if absent."""
    overwrite: Flag = False
    """Replace a folder of references written by armctl."""
    json: Flag = False
    """Print JSON instead of a table."""

    def __post_init__(self) -> None:
        check_finite(self)


def run(argv: Sequence[str], prog: str) -> int:
    """`armctl improve`; returns the exit status."""
    arguments = parse(ImproveArguments, argv, prog)
    chain = load_chain(arguments.robot)
    out = arguments.out or Path(f"{arguments.suite.resolve()}-{arguments.aim}")
    check_out(out, overwrite=arguments.overwrite, kind="references")
    check_preset(arguments.scenario)
    check_measured(chain)
    from armctl.arm import load_arm
    from armctl.generator import write_references
    from armctl.generator.repair import check_alike, check_scenes, check_wishes, improve, summary

    wishes = arguments.trust, arguments.updates, arguments.plants
    check_wishes(arguments.aim, *wishes, has_controller=arguments.controller is not None)
    motions = load_suite_dir(arguments.suite, chain)
    check_alike(motions)
    made_in = {motion.meta.get("scene") for motion in motions}
    place = arguments.scene or (made_in.pop() if len(made_in) == 1 and made_in <= NAMED.keys() else None)
    scene = None if place is None else load_scene(place, chain)
    check_scenes(motions, scene)
    check_scene(chain, scene)
    controller = None
    if arguments.controller is not None:
        bench = BenchConfig(robot=arguments.robot, control_dt=motions[0].dt)
        _, controller, _ = find_controller(arguments.controller, load_arm(arguments.robot), bench)
    rng = np.random.default_rng(arguments.seed)
    compiling(15 if controller is None else 15 + controller.compile_seconds)
    with counting(arguments.updates, f"make {len(motions)} motions {arguments.aim}", "step") as tell:
        found = improve(
            motions, chain, aim=arguments.aim, controller=controller, scene=scene, trust=arguments.trust,
            scenarios=[sample_scenario(arguments.scenario, chain, rng) for _ in range(arguments.plants)],
            steps=arguments.updates, progress=tell,
        )  # fmt: skip
    improvements = [improvement for _, improvement in found]
    overall = summary(improvements)
    told = {"improvements": overall, "motions": improvements}
    write_references([motion for motion, _ in found], out, overwrite=arguments.overwrite, facts=told)
    rows = [
        {
            "reference": one.name,
            overall["measure"]: one.measure(one.before),
            "after": one.measure(one.after),
            "change": one.change,
            "why not": one.reason,
        }
        for one in improvements
    ]
    share = f"{np.mean([one.improved for one in improvements]):.0%} made {arguments.aim}"
    show({**told, "folder": str(out)}, f"{table(rows)}\n\n{len(rows)} references in {out}, {share}", arguments.json)
    return 0
