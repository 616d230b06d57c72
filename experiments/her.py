"""Whether an unmodified SAC with hindsight relabelling learns to reach: success in PyBullet against environment steps.

Positions alone, sparse reward, 25 Hz. Needs `pip install "armctl[rl]"`. The policy of Andrychowicz et al. (2017) for
goals, of Haarnoja et al. (2018) for actions, both as stable-baselines3 has them. Writes the curve of the backend into
runs/her/summary.json, beside those of others, and the policy into runs/her/BACKEND.zip, which `armctl bench --task
reach` takes.

    python experiments/her.py
    python experiments/her.py --backend twin
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from armctl import make_vec, store
from armctl.envs.stable_baselines import StableBaselinesVecEnv
from armctl.errors import UsageError


@dataclass(frozen=True)
class Args:
    """Settings of the study."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    backend: str = "bullet"
    """Where the policy is trained; it is judged in PyBullet."""
    arms: int = 8
    """Arms that learn together."""
    steps: int = 50_000
    """Environment steps, of all arms together."""
    every: int = 5_000
    """Environment steps between judgements."""
    episodes: int = 96
    """Episodes of a judgement."""
    tolerance: float = 0.05
    """Distance that counts as success, m."""
    seed: int = 0
    """Seed of goals, plants and weights."""
    out: Path = Path("runs/her")
    """Run folder."""


def reach(args: Args, arms: int, backend: str, seed: int) -> StableBaselinesVecEnv:
    """Arms that reach for positions, 50 control steps of 40 ms an episode."""
    envs = make_vec(
        "armctl/PandaReach-v1", arms, robot=args.robot, backend=backend, control="ee_twist", control_dt=0.04,
        reward="sparse", position_only=True, tolerance=args.tolerance, max_episode_steps=50, seed=seed,
    )  # fmt: skip
    return StableBaselinesVecEnv(envs)


def success(model: Any, envs: StableBaselinesVecEnv, episodes: int) -> float:
    """Share of episodes at whose end the tip is at its goal."""
    observation = envs.reset()
    ended: list[bool] = []
    while len(ended) < episodes:
        observation, _, done, infos = envs.step(model.predict(observation, deterministic=True)[0])
        ended += [bool(info["is_success"]) for info, over in zip(infos, done, strict=True) if over]
    return float(np.mean(ended[:episodes]))


def main(args: Args) -> None:
    """Train, judge as it goes, print and write the curve."""
    from stable_baselines3 import SAC, HerReplayBuffer

    envs, held_out = reach(args, args.arms, args.backend, args.seed), reach(args, 8, "bullet", args.seed + 10_000)
    model = SAC(
        "MultiInputPolicy", envs, replay_buffer_class=HerReplayBuffer, learning_rate=1e-3, gamma=0.95, tau=0.05,
        batch_size=256, buffer_size=200_000, learning_starts=1_000, train_freq=1, gradient_steps=args.arms,
        policy_kwargs={"net_arch": [128, 128]}, seed=args.seed,
    )  # fmt: skip
    path = args.out / "summary.json"
    others = store.read_json(path)["curves"] if path.exists() else {}
    facts = {"settings": args, "machine": store.machine(), "versions": store.versions()}
    rows, started = [], time.perf_counter()
    for done in range(args.every, args.steps + 1, args.every):
        model.learn(args.every, reset_num_timesteps=False)
        share = success(model, held_out, args.episodes)
        rows.append({"steps": done, "success": share, "seconds": time.perf_counter() - started})
        print("{steps} steps, {seconds:.0f} s: {success:.3f}".format(**rows[-1]), flush=True)
        model.save(args.out / f"{args.backend}.zip")
        store.write_json(path, {"curves": others | {args.backend: rows}, **facts})
    envs.close()
    held_out.close()


if __name__ == "__main__":  # the processes of PyBullet import this file
    try:
        main(tyro.cli(Args))
    except UsageError as error:
        sys.exit(str(error))
