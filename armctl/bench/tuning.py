"""What a tuned or trained run folder gave its controller, in words for the report."""

from pathlib import Path

from armctl import store
from armctl.errors import UsageError


def describe_tuning(folder: str | Path) -> dict[str, str]:
    """Return what a tuned or trained run folder gave its controller, for the ``records`` of ``run_bench``.

    Raises:
        UsageError: the folder is no such run.
    """
    config = store.read_config(folder)
    train = config.get("train")
    if not isinstance(train, dict):
        raise UsageError(
            f"'{folder}' is not a tuned controller (no 'train' in its config.json); name a folder of 'armctl tune'."
        )
    if not {"updates", "batch", "horizon"} <= set(train) or "scenario" not in config:
        raise UsageError(f"'{folder}/config.json' is damaged: it lacks the tuning budget; train again.")
    done, planned = _updates(Path(folder)), train["updates"]
    count = f"{planned}" if done is None or done >= planned else f"unfinished, {done} of {planned}"
    size = f"{train['batch']} episodes × {train['horizon']} steps"
    budget = f"{count} updates × {size}, scenario {config['scenario']}"
    weights = ", ".join(f"{name} {value:g}" for name, value in train.get("objective", {}).items())
    return {"tuning_budget": budget, "objective": f"Charbonnier pose error ({weights})"}


def _updates(folder: Path) -> int | None:
    """Updates that a run has made, from its metrics; None where it left none and no summary either."""
    metrics = folder / "metrics.csv"
    if metrics.exists():
        return int(float(store.read_rows(metrics)[-1]["update"]))
    return 0 if (folder / "summary.json").exists() else None
