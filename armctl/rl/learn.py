"""Train one policy into a run folder: arms, algorithm, judgements in PyBullet, checkpoints, curve."""

import copy
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from operator import mul
from pathlib import Path
from typing import Any

import flax.linen

from armctl import store
from armctl.errors import NonFiniteError, UsageError
from armctl.rl import checkpoints
from armctl.rl.arms import make_arms
from armctl.rl.checkpoints import NORMALISER, POLICY, REPLAY
from armctl.rl.curve import curve_picture
from armctl.rl.judge import judge
from armctl.rl.settings import Recipe, RLConfig, falling, recipe
from armctl.urdf import load_chain

Row = dict[str, float]
CLASSES = {"ppo": "PPO", "sac": "SAC", "tqc": "TQC", "crossq": "CrossQ"}
JUDGES = 16
"""Arms that are judged side by side."""


def check_installed() -> None:
    """Raises UsageError where sbx is not installed."""
    if find_spec("sbx") is None or find_spec("stable_baselines3") is None:
        raise UsageError(
            'sbx is not installed; get it with: pip install "armctl[rl]" (it brings torch, of which the build for CPUs '
            "is enough: install that first)."
        )


def train_policy(
    config: RLConfig,
    out: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[Row], None] | None = None,
) -> dict[str, Any]:
    """Train a policy, write the run folder `out` and return its summary.

    progress: called with the row of every judgement. The folder holds config.json, metrics.csv (a row a judgement),
    curve.png, what the algorithm logs (log/, CSV and TensorBoard), checkpoints/ and, at the end, policy.zip, the
    best of the judgements, with vecnormalize.pkl where observations are normalised. A run that is resumed goes on from
    its last judgement, with the experience it had then; its episodes begin anew.
    Raises UsageError for a folder that exists, settings that cannot be, and where sbx is not installed, and
    NonFiniteError where the policy breaks down.
    """
    check_installed()
    made, out = recipe(config), Path(out)
    kind = getattr(import_module("sbx"), CLASSES[config.algo])
    _check_model(kind, made)
    arms = make_arms(config, made, made.arms, made.backend, config.seed, bank_size=made.bank_size)
    held_out = make_arms(config, made, JUDGES, "bullet", config.seed, processes=1)
    try:
        fresh = _begun(kind, config, made, arms)  # before anything is written, as it may be refused
        store.create_run(out, _record(config, made), overwrite=overwrite, resume=resume)
        done = _forget_later(out)
        model = _resumed(out, done, kind, arms) if done else fresh
        return _train(model, config, made, held_out, out, done, progress)
    finally:
        arms.close()
        held_out.close()


def _train(
    model: Any, config: RLConfig, made: Recipe, held_out: Any, out: Path, done: int, progress: Any
) -> dict[str, Any]:
    """Train a model that has so many steps behind it, and write the summary."""
    status = "interrupted"
    _log(model, out, done)
    try:
        at_step = _judging(config, made, held_out, out, progress)
        model.learn(made.steps - done, callback=at_step, reset_num_timesteps=False)
        _publish(out, int(_best(config, _rows(out))["steps"]))
        status = "finished"
    except UsageError as error:  # all that arms refuse once they move: actions that are not finite
        status = f"The policy broke down after {model.num_timesteps} steps ({error}); lower its learning_rate."
        raise NonFiniteError(status) from error
    finally:
        model.logger.close()
        rows = _rows(out)
        summary = {"status": status, "best": _best(config, rows), "last": rows[-1] if rows else {}}
        store.write_json(out / "summary.json", summary | {"machine": store.machine()})
    store.finish_run(out)
    return summary


def _check_model(kind: Any, made: Recipe) -> None:
    ours = {"self", "policy", "env", "seed", "tensorboard_log", "_init_setup_model", "device", "verbose"}
    takes = inspect.signature(kind.__init__).parameters
    known = set(takes) - ours
    if wrong := sorted(set(made.model) - known):
        raise UsageError(f"{made.name} has {wrong[0]!r}; {kind.__name__} takes {', '.join(sorted(known))}.")
    for key, value in made.model.items():
        usual = takes[key].default
        if isinstance(usual, int | float) and not isinstance(value, int | float) and falling(value) is None:
            raise UsageError(f"{key} of {made.name} is {value!r}; give a number, as {usual!r}.")
    policy = made.model.get("policy_kwargs", {})
    if not isinstance(policy, dict) or not hasattr(flax.linen, str(policy.get("activation_fn", "relu"))):
        raise UsageError(
            f"policy_kwargs of {made.name} is {policy!r}; give a table, with an activation_fn of flax.linen, as elu."
        )


def _begun(kind: Any, config: RLConfig, made: Recipe, arms: Any) -> Any:
    """The algorithm before it has learned anything."""
    from stable_baselines3 import HerReplayBuffer
    from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

    options = {key: _value(value) for key, value in made.model.items()}
    if (name := options.get("policy_kwargs", {}).get("activation_fn")) is not None:
        options["policy_kwargs"]["activation_fn"] = getattr(flax.linen, name)
    if config.algo != "ppo":
        options = {"buffer_size": min(made.steps, 1_000_000), **options}
    if made.relabelled:
        options |= {
            "replay_buffer_class": HerReplayBuffer,
            "replay_buffer_kwargs": {"n_sampled_goal": made.relabelled},
        }
    arms = VecMonitor(arms)
    if made.normalise:
        arms = VecNormalize(arms, gamma=made.model.get("gamma", 0.99))
    try:
        return kind("MlpPolicy" if config.algo == "ppo" else "MultiInputPolicy", arms, seed=config.seed, **options)
    except (AssertionError, TypeError, ValueError) as error:
        said = str(error).strip() or type(error).__name__
        raise UsageError(f"{kind.__name__} cannot be made of {made.name} ({said}); mend its values.") from error


def _value(value: Any) -> Any:
    """A hyper-parameter as the algorithm takes it; a copy of what it may change."""
    start = falling(value)
    return copy.deepcopy(value) if start is None else partial(mul, start)  # times what is left of training


def _resumed(out: Path, done: int, kind: Any, arms: Any) -> Any:
    """The algorithm as it was after so many steps."""
    from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

    folder, arms = checkpoints.place(out, done), VecMonitor(arms)
    if (folder / NORMALISER).exists():
        arms = VecNormalize.load(str(folder / NORMALISER), arms)
    model = kind.load(folder / POLICY, env=arms, device="cpu")
    if (folder / REPLAY).exists():
        model.load_replay_buffer(folder / REPLAY)
    return model


def _log(model: Any, out: Path, done: int) -> None:
    """Where the algorithm logs, a folder for every start of the run."""
    from stable_baselines3.common.logger import configure

    formats = ["csv", *(["tensorboard"] if find_spec("tensorboard") else [])]
    model.set_logger(configure(str(out / "log" / f"{done:09d}"), formats))


def _judging(config: RLConfig, made: Recipe, held_out: Any, out: Path, progress: Any) -> Callable[[Any, Any], bool]:
    """What is called after every step: at equal distances it judges, notes the row and keeps the state."""
    every, rows = made.steps // config.judgements, _rows(out)
    spent, since = rows[-1]["seconds"] if rows else 0.0, time.perf_counter()

    def at_step(variables: dict[str, Any], _: Any) -> bool:
        nonlocal spent, since
        model = variables["self"]
        if len(rows) >= config.judgements or model.num_timesteps < every * (len(rows) + 1):
            return True
        spent += time.perf_counter() - since
        normaliser = model.get_vec_normalize_env()
        found = judge(
            model, held_out, config.episodes, config.task == "track", normaliser and normaliser.normalize_obs
        )  # fmt: skip
        row = {"steps": model.num_timesteps, "seconds": spent, **found._asdict()}
        for name, value in found._asdict().items():
            model.logger.record(f"judged/{name}", value)
        rows.append(row)
        store.append_rows(out / "metrics.csv", [row])
        checkpoints.keep(out, model.num_timesteps, lambda folder: _save(model, normaliser, folder))
        checkpoints.tidy(out, int(_best(config, rows)["steps"]))
        store.write_bytes(
            out / "curve.png", curve_picture(rows, f"{CLASSES[config.algo]} on {config.task}, judged in PyBullet")
        )
        if progress is not None:
            progress(row)
        since = time.perf_counter()
        return True

    return at_step


def _save(model: Any, normaliser: Any, folder: Path) -> None:
    """What a run goes on from."""
    model.save(folder / POLICY)
    if normaliser is not None:
        normaliser.save(str(folder / NORMALISER))
    if getattr(model, "replay_buffer", None) is not None:
        model.save_replay_buffer(folder / REPLAY)


def _publish(out: Path, best: int) -> None:
    """Put the best policy where it is looked for, its normaliser first: a policy without it would be another."""
    for name in (NORMALISER, POLICY):
        if (checkpoints.place(out, best) / name).exists():
            store.write_bytes(out / name, (checkpoints.place(out, best) / name).read_bytes())
    for steps in checkpoints.kept(out):
        (checkpoints.place(out, steps) / REPLAY).unlink(missing_ok=True)


def _forget_later(out: Path) -> int:
    """After how many steps the run goes on, 0 from the start; rows of judgements whose state was not kept go."""
    done = (checkpoints.kept(out) or [0])[-1]
    rows = _rows(out)
    if kept := [row for row in rows if row["steps"] <= done]:
        store.write_rows(out / "metrics.csv", kept)
    else:
        (out / "metrics.csv").unlink(missing_ok=True)
    return done


def _rows(out: Path) -> list[Row]:
    return [
        {name: float(value) if name != "steps" else int(value) for name, value in row.items()}
        for row in store.read_rows(out / "metrics.csv")
    ]


def _best(config: RLConfig, rows: list[Row]) -> Row:
    """The row of the best judgement: of tracking by the error, else by success and then by the error."""
    tracking = config.task == "track"
    return max(rows, key=lambda row: (0 if tracking else row["success"], -row["position_error_mm"]), default={})


def _record(config: RLConfig, made: Recipe) -> "_Record":
    given = {one.name: getattr(config, one.name) for one in fields(config)}
    return _Record(**given, robot_name=load_chain(config.robot).name, recipe=made)


@dataclass(frozen=True)
class _Record(RLConfig):
    """What config.json holds: the settings, the arm they were used on, and all that the run is made of."""

    robot_name: str = ""
    recipe: Recipe | None = None
