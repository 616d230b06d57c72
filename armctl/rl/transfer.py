"""What the policy of a finished run achieves on either backend, on the same goals and plants."""

from importlib import import_module
from pathlib import Path

from armctl.rl.arms import make_arms
from armctl.rl.checkpoints import NORMALISER, POLICY, WITHOUT_REPLAY
from armctl.rl.judge import Judgement, judge
from armctl.rl.learn import CLASSES, JUDGES, check_installed
from armctl.rl.settings import recorded


def judge_run(folder: str | Path, backend: str, episodes: int = 96) -> Judgement:
    """The policy of a run folder of `train rl`, judged on "twin" or "bullet".

    Raises UsageError where the folder is no such run, and where sbx is not installed.
    """
    config, made = recorded(folder)
    check_installed()
    from stable_baselines3.common.vec_env import VecNormalize

    folder, options = Path(folder), {"processes": 1} if backend == "bullet" else {}
    arms = make_arms(config, made, JUDGES, backend, config.seed, **options)
    try:
        kind = getattr(import_module("sbx"), CLASSES[config.algo])
        model = kind.load(folder / POLICY, device="cpu", custom_objects=WITHOUT_REPLAY)
        normalise = None
        if (folder / NORMALISER).exists():
            normalise = VecNormalize.load(str(folder / NORMALISER), arms).normalize_obs
        return judge(model, arms, episodes, config.task == "track", normalise)
    finally:
        arms.close()
