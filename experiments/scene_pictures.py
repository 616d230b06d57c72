"""Pictures of the named scenes around an arm, side by side: `docs/scenes.png` is what this writes.

python -m experiments.scene_pictures --out docs/scenes.png
"""

import argparse
import io
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

import armctl  # noqa: F401 (registers the environments)
from armctl import store
from armctl.scene import NAMED


def main() -> None:
    """Draw each scene with the arm at home and write one picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--out", type=Path, default=Path("runs/scenes.png"))
    args = parser.parse_args()
    picture = np.concatenate([draw(args.robot, name) for name in NAMED], axis=1)
    data = io.BytesIO()
    Image.fromarray(picture).quantize(128).save(data, format="PNG", optimize=True)
    store.write_bytes(args.out, data.getvalue())
    print(f"{', '.join(NAMED)}: {args.out}")


def draw(robot: str, scene: str) -> np.ndarray:
    """A picture (H, W, 3) of an arm at home in a scene."""
    env = gym.make("armctl/PandaReach-v1", robot=robot, scene=scene, render_mode="rgb_array")
    env.reset(seed=0)
    picture = np.asarray(env.render())
    env.close()
    return picture


if __name__ == "__main__":
    main()
