"""Learn the motions of an arm, then propose new ones of a wanted speed that an independent checker certifies.

A flow learns paths that reach, sweep and circle without touching arm or floor. Its proposals are bent away from contact
while they form; PyBullet has the last word. The folder of goals is a suite: `armctl bench --suite FOLDER` takes it.

    python experiments/examples/06_generate_goals.py
    python experiments/examples/06_generate_goals.py --robot xarm6 --speed 0.5 --motions 4000 --flow.steps 1500
"""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

import armctl
from armctl.generator import FlowConfig, propose, save_model, train_flow, write_references
from armctl.motion.corpus import build_corpus


@dataclass
class Args:
    """What is learnt, and what is wanted of it."""

    robot: str = "panda"
    """Arm by name, or path of a URDF."""
    motions: int = 600
    """Motions to learn from."""
    flow: FlowConfig = field(default_factory=lambda: FlowConfig(steps=400))
    """The model and its training, `--flow.steps` and so on."""
    count: int = 8
    """Goal trajectories that are wanted."""
    speed: float = 0.8
    """Share of the arm's limits that they use, at most 1."""
    out: Path = Path("runs/examples/06")
    """Folder of the goal trajectories; an older one is replaced."""


def show(row: dict) -> None:
    """Tell how the training goes on."""
    print(f"  step {row['step']:.0f}: validation loss {row['validation_loss']:.3f}", flush=True)


args = tyro.cli(Args)
chain = armctl.load_chain(args.robot)
print(f"{args.motions} motions of {chain.name}, {args.flow.steps} gradient steps")
model = train_flow(build_corpus(chain, args.motions), args.flow, chain=chain, progress=show)
save_model(model, args.out / "generator")
goals, stats = propose(model, chain, args.count, speed=args.speed)
for goal in goals:
    found = goal.meta["certificate"]
    print(f"{goal.name}: {goal.duration:.2f} s, speed {found['eta']:.2f}, least margin: {found['binding']}")
folder = write_references(goals, args.out / "goals", stats, overwrite=True)
print(f"{stats.accepted} of {stats.attempts} proposals are certified and in {folder}")
before, after = 100 * stats.validity_before, 100 * stats.validity_after
print(f"feasible are {before:.0f} % of all as the flow makes them, {after:.0f} % with guidance")
