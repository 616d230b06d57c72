"""What a tuned or trained run folder gave its controller, in words for the report."""

from pathlib import Path
from typing import Any

from armctl import store
from armctl.errors import UsageError
from armctl.rl.settings import is_policy_run


def describe_tuning(folder: str | Path) -> dict[str, str]:
    """What a tuned or trained run folder gave its controller, for the `records` of `run_bench`.

    Raises UsageError where the folder is no such run.
    """
    if is_policy_run(folder):
        return _describe_policy(folder)
    config = _config(folder)
    train, short = config["train"], unfinished(folder)
    updates = f"unfinished, {short}" if short else f"{train['updates']} updates"
    budget = f"{updates} × {train['batch']} episodes × {train['horizon']} steps, scenario {config['scenario']}"
    if "curriculum" in config:
        budget += f", {config['rounds']} rounds of proposals, curriculum {config['curriculum']}"
        how = config.get("steering", "conditioned")
        budget += "" if how == "conditioned" else f" ({how})"
    if _unstable(_summary(folder).get("last", {})):
        budget += ", not stable on every plant of validation"
    weights = ", ".join(f"{name} {value:g}" for name, value in train.get("objective", {}).items())
    objective = f"Charbonnier pose error ({weights})"
    return {"tuning_budget": budget, "objective": objective, "trained_on": config["scenario"]}


def _describe_policy(folder: str | Path) -> dict[str, str]:
    """What reinforcement learning gave a policy."""
    config = store.read_config(folder)
    made, best = config["recipe"], _summary(folder).get("best", {})
    where = {"twin": "the twin", "bullet": "PyBullet"}[made["backend"]]
    budget = f"{made['steps']:,} environment steps in {where}, the best of {config['judgements']} judgements"
    if best:
        budget += f" (after {best['steps']:,}), scenario {config['scenario']}"
    reward = f"{made['reward']} reward of {config['task']}"
    return {"tuning_budget": budget, "objective": reward, "trained_on": config["scenario"]}


def unfinished(folder: str | Path) -> str:
    """How far a run got that did not come to its end, as "3 of 5 updates"; empty for one that did.

    Raises UsageError where the folder is no such run.
    """
    planned, metrics = _config(folder)["train"]["updates"], Path(folder) / "metrics.csv"
    summary = _summary(folder)
    if not metrics.exists() and not summary:
        return ""  # not a run's own record: what its config.json says is all there is to go by
    last = store.read_rows(metrics)[-1] if metrics.exists() else summary.get("last", {})
    done = int(float(last.get("update", 0)))
    return f"{done} of {planned} updates" if done < planned else ""


def _unstable(last: dict[str, Any]) -> bool:
    """Whether a run's last row of metrics says that the loop does not contract everywhere; False without validation.

    Contraction is not a number (null) where an episode diverged.
    """
    contraction = last.get("validation_contraction", 0.0)
    return contraction is None or not contraction < 1


def _summary(folder: str | Path) -> dict[str, Any]:
    """What a run said at its end; empty where it has not."""
    path = Path(folder) / "summary.json"
    return store.read_json(path) if path.exists() else {}


def _config(folder: str | Path) -> dict[str, Any]:
    """The settings of a tuning run, with its budget and scenario."""
    config = store.read_config(folder)
    train = config.get("train")
    if not isinstance(train, dict):
        raise UsageError(
            f"'{folder}' is not a tuned controller (no 'train' in its config.json); name a folder of 'armctl tune'."
        )
    if not {"updates", "batch", "horizon"} <= set(train) or "scenario" not in config:
        raise UsageError(f"'{folder}/config.json' is damaged: it lacks the tuning budget; train again.")
    return config
