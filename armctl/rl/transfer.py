"""What the policy of a finished run achieves on either backend, on the same goals and plants."""

from importlib import import_module
from pathlib import Path
from typing import Any

from armctl import store
from armctl.rl.arms import make_arms
from armctl.rl.judge import Judgement, judge
from armctl.rl.learn import CLASSES, JUDGES, NORMALISER, check_installed
from armctl.rl.settings import Recipe, RLConfig

NO_BUFFER: dict[str, Any] = {"replay_buffer_class": None, "replay_buffer_kwargs": {}, "buffer_size": 1}
"""What a policy was trained from is not wanted where it only acts."""


def judge_run(folder: str | Path, backend: str, episodes: int = 96) -> Judgement:
    """The policy of a run folder of `train rl`, judged on "twin" or "bullet".

    Raises UsageError where the folder is no such run, and where sbx is not installed.
    """
    check_installed()
    from stable_baselines3.common.vec_env import VecNormalize

    folder, given = Path(folder), store.read_config(folder)
    made = Recipe(**given["recipe"])
    config = RLConfig(given["robot"], given["algo"], given["task"], scenario=given["scenario"], seed=given["seed"])
    options = {"processes": 1} if backend == "bullet" else {}
    arms = make_arms(config, made, JUDGES, backend, config.seed, **options)
    try:
        kind = getattr(import_module("sbx"), CLASSES[config.algo])
        model = kind.load(folder / "policy.zip", device="cpu", custom_objects=NO_BUFFER)
        normalise = None
        if (folder / NORMALISER).exists():
            normalise = VecNormalize.load(str(folder / NORMALISER), arms).normalize_obs
        return judge(model, arms, episodes, config.task == "track", normalise)
    finally:
        arms.close()
