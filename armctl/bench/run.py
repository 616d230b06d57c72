"""Run every controller on the same seeded episodes in PyBullet, in batches that can be interrupted and resumed."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from armctl import store
from armctl.bench.batch import horizon, make_policy, run_batch
from armctl.bench.finish import check_subject, write_summary
from armctl.bench.identity import identity
from armctl.bench.metrics import Episode, episode_metrics
from armctl.bench.outside import is_outside, run_outside
from armctl.bench.own_metrics import Metric, check_metrics, own_metrics
from armctl.bench.participants import GIVEN, adapted, check_controllers, check_goals, checksum, described
from armctl.bench.plan import BenchConfig, Task, batches, fingerprint, make_tasks, scene_sum
from armctl.bench.records import save_tracks
from armctl.bench.suite import load_suite, suite_name
from armctl.bench.summary import Row
from armctl.bench.twin_batch import make_roll
from armctl.chain import Chain
from armctl.errors import UsageError
from armctl.jobs import Where, run_jobs
from armctl.motion.reference import Reference
from armctl.plant.scenario import Scenario
from armctl.scene import Scene, load_scene, save_scene
from armctl.urdf import load_chain


class Unit(NamedTuple):
    """What is run at a time."""

    controller: str
    batch: int

    def __str__(self) -> str:
        return f"batch {self.batch} of {self.controller}"


def run_bench(
    controllers: Mapping[str, Any],
    suites: Mapping[str, Sequence[Reference]] | Sequence[str] | None = None,
    scenarios: Sequence[str] | Mapping[str, Scenario] = ("nominal", "payload"),
    out: str | Path = "runs/bench",
    *,
    config: BenchConfig | None = None,
    metrics: Mapping[str, Metric] | None = None,
    records: Mapping[str, Mapping[str, Any]] | None = None,
    subject: str = "",
    scene: Scene | str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Run controllers × references × scenario draws; write `episodes.csv`, `tracks/` and `summary.json`, and return it.

    Every controller meets the same references, scenario draws and noise. A controller that fails is scored as the worst
    and listed with the reason (see `metrics.episode_metrics`); it is never dropped.
    controllers: name -> Flax module (`armctl.Controller`), or any object with `control` and `act(observation)` (see
    `bench.outside`). suites: suite -> references, which are resampled to `config.control_dt`, or names of suites;
    `shapes` if absent, and in a scene `corpus`, whose motions keep clear of it.
    scenarios: names of presets, or name -> a fixed scenario. metrics: name -> function of an `Episode`, your own.
    records: name -> what the controller was given: `tuning_budget`, `objective`, `information` (text for the report),
    `trained_on` (the scenario preset; results on others are marked). subject: the controller that the others are
    compared with, the best of one's own or learned when empty. scene: bodies around the arm, a Scene, its name or file;
    `config.scene` if absent. It is kept in `scene.json`, and contact is counted as `scene_contact`.
    resume: continue an interrupted bench; batches already recorded are not run again.
    Raises UsageError where `out` exists (or was started differently), where nothing is to be run, and for a controller
    that has not what it needs.
    """
    config = config or BenchConfig()
    started, chain = time.perf_counter(), load_chain(config.robot)
    config, around = _placed(config, chain, scene)
    controllers, metrics = {name: adapted(one, chain.n) for name, one in controllers.items()}, dict(metrics or {})
    check_controllers(config, controllers)
    check_subject(subject, list(controllers))
    check_metrics(metrics)
    tasks = make_tasks(config, chain, _loaded(suites, config, chain, around), scenarios, around)
    check_goals(tasks, controllers, chain.home)
    Where(config.jobs, config.ray).check()
    out = store.create_run(out, config, overwrite=overwrite, resume=resume)
    given = {name: described(controller, (records or {}).get(name, {})) for name, controller in controllers.items()}
    checksums = {name: checksum(controller) for name, controller in controllers.items()}
    own = {name: identity(metric) for name, metric in metrics.items()}
    reach = any(task.goal is not None for task in tasks)
    placed = {} if around is None else {"scene": [around.name, scene_sum(around)]}
    _check_plan(out, fingerprint(tasks, checksums) | {"metrics": own, "reach": reach} | placed)
    if around is not None:
        save_scene(around, out / "scene.json")
    _run_units(config, chain, controllers, tasks, out, given, metrics, progress)
    summary = write_summary(out, given, time.perf_counter() - started, subject)
    store.finish_run(out)
    return summary


def _placed(config: BenchConfig, chain: Chain, scene: Scene | str | Path | None) -> tuple[BenchConfig, Scene | None]:
    """The settings that name the scene, and the scene: the one that is given, else that of the settings."""
    asked = scene if scene is not None else config.scene
    if asked is None:
        return config, None
    around = load_scene(asked, chain)
    return replace(config, scene=config.scene if scene is None else around.name), around


def _loaded(
    suites: Mapping[str, Sequence[Reference]] | Sequence[str] | None,
    config: BenchConfig,
    chain: Chain,
    scene: Scene | None,
) -> Mapping[str, Sequence[Reference]]:
    """References by suite."""
    if isinstance(suites, Mapping):
        return suites
    return {
        suite_name(name): load_suite(name, chain, dt=config.control_dt, seed=config.seed, scene=scene)
        for name in suites or ("shapes" if scene is None else "corpus",)
    }


def _run_units(
    config: BenchConfig,
    chain: Chain,
    controllers: Mapping[str, Any],
    tasks: list[Task],
    out: Path,
    given: dict[str, dict[str, Any]],
    metrics: Mapping[str, Metric],
    progress: bool,
) -> None:
    """Run every unit that `out` does not hold yet and record it as soon as it is finished."""
    groups = batches(tasks, config.batch)
    # The longest come first, so that workers end together.
    units = [Unit(name, index) for name in controllers for index in reversed(range(len(groups)))]
    done = _recorded(out / "episodes.csv", {_file(unit): len(groups[unit.batch]) for unit in units})
    left = [unit for unit in units if _file(unit) not in done]
    start = partial(_runner, config, chain, dict(controllers), tasks)
    with _bar(len(tasks) * len(controllers), progress) as bar:
        bar.update(sum(len(groups[unit.batch]) for unit in units if unit not in left))
        for unit, episodes in run_jobs(start, left, Where(config.jobs, config.ray)):
            _record(out, config, unit, groups[unit.batch], episodes, given[unit.controller], metrics)
            bar.update(len(episodes))


def _recorded(path: Path, episodes: Mapping[str, int]) -> set[str]:
    """The files whose batches are recorded; rows of one that was being written as the bench was killed are removed.

    episodes: file -> number of its episodes.
    """
    rows = store.read_rows(path)
    count = Counter(row["file"] for row in rows)
    whole = {file for file in count if count[file] == episodes.get(file)}
    if len(whole) < len(count):
        kept = [row for row in rows if row["file"] in whole]
        store.write_rows(path, kept) if kept else path.unlink()
    return whole


def _runner(
    config: BenchConfig, chain: Chain, controllers: Mapping[str, Any], tasks: list[Task]
) -> Callable[[Unit], list[Episode]]:
    """A function that runs one unit; controllers compile once."""
    groups, samples = batches(tasks, config.batch), horizon(config, tasks)
    policies: dict[str, Any] = {}

    def run(unit: Unit) -> list[Episode]:
        name, index = unit
        if is_outside(controllers[name]):
            return run_outside(config, chain, controllers[name], groups[index])
        if config.backend == "twin":
            policies[name] = policies.get(name) or make_roll(config, chain, controllers[name], samples, tasks[0].scene)
            return policies[name](groups[index])
        policies[name] = policies.get(name) or make_policy(controllers[name])
        return run_batch(config, chain, controllers[name], policies[name], groups[index], samples)

    return run


def _record(
    out: Path,
    config: BenchConfig,
    unit: Unit,
    tasks: list[Task],
    episodes: list[Episode],
    given: dict[str, Any],
    metrics: Mapping[str, Metric],
) -> None:
    # Tracks first: a row in episodes.csv says that its batch is complete.
    save_tracks(out / "tracks" / _file(unit), episodes, [task.reference.meta.get("dwells", []) for task in tasks])
    store.append_rows(
        out / "episodes.csv",
        [
            _row(config, unit, slot, task, episode, given) | own_metrics(metrics, episode)
            for slot, (task, episode) in enumerate(zip(tasks, episodes, strict=True))
        ],
    )
    _keep_tracebacks(out / "tracebacks.txt", unit.controller, tasks, episodes)


def _keep_tracebacks(path: Path, name: str, tasks: list[Task], episodes: list[Episode]) -> None:
    """Write down what a controller raised, each kind of it once a batch."""
    raised = {one.traceback: task for task, one in zip(tasks, episodes, strict=True) if one.traceback}
    if raised:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{name} in {', '.join(map(str, task.key))}\n{text}\n" for text, task in raised.items())


def _row(config: BenchConfig, unit: Unit, slot: int, task: Task, episode: Episode, given: dict[str, Any]) -> Row:
    facts = {
        field.name: _cell(getattr(task.scenario, field.name)) for field in fields(task.scenario) if field.name != "seed"
    }
    return {
        "controller": unit.controller,
        "suite": task.suite,
        "reference": task.label,
        "scenario": task.scenario_name,
        "draw": task.draw,
        "seed": task.seed,
        "failure": episode.failure,
        "family": task.reference.meta.get("family", ""),
        "eta": task.reference.meta.get("eta", ""),
        "duration_s": task.reference.duration,
        **facts,
        **{f"controller_{name}": given[name] for name in ("title", "family")},
        **{name: given[name] for name in ("control", "preview", *GIVEN)},
        "batch": config.batch,
        "file": _file(unit),
        "slot": slot,
        **episode_metrics(episode),
    }


def _check_plan(out: Path, plan: dict[str, Any]) -> None:
    path = out / "plan.json"
    if path.exists() and (other := _different(store.read_json(path), plan)):
        raise UsageError(f"'{out}' was started {other}; resume it with the same ones or replace it with --overwrite.")
    store.write_json(path, plan)


def _different(old: dict[str, Any], new: dict[str, Any]) -> str:
    """In what the plan of a resumed bench differs from that of the interrupted one, in words; empty if in nothing."""
    was, now = old["controllers"], new["controllers"]
    scenes = [plan.get("scene") for plan in (old, new)]
    if scenes[0] != scenes[1]:
        said = ["free space" if one is None else f"scene '{one[0]}'" for one in scenes]
        return f"in {said[0]}, not {said[1]}" if said[0] != said[1] else f"in another {said[0]}"
    mine = [dict(plan.get("metrics", {})) for plan in (old, new)]
    if mine[0].keys() != mine[1].keys():
        said = [", ".join(names) or "of every bench alone" for names in mine]
        return f"with the metrics {said[0]}, not {said[1]}"
    if altered := [name for name in mine[0] if mine[0][name] != mine[1][name]]:
        return f"with another metric {', '.join(altered)}"
    if set(was) != set(now):
        return f"with the controllers {', '.join(was)}, not {', '.join(now)}"
    if changed := [name for name in now if was[name] != now[name]]:
        return f"with other parameters or code of {', '.join(changed)}"
    before = {tuple(episode[:4]): episode[4:] for episode in old["episodes"]}
    after = {tuple(episode[:4]): episode[4:] for episode in new["episodes"]}
    if before == after:
        return "" if old["episodes"] == new["episodes"] else "with the same episodes in another order"
    key = next(key for key in (*after, *before) if before.get(key) != after.get(key))
    episode = f"episode {', '.join(map(str, key[:3]))}, draw {key[3]}"
    if key not in before:
        return f"without {episode}"
    return f"with another {episode}" if key in after else f"with {episode}, which is not asked for now"


def _file(unit: Unit) -> str:
    return f"{unit.controller}-{unit.batch:03d}.npz"


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return " ".join(f"{item:g}" if isinstance(item, float | int) else str(item) for item in value)
    return "" if value is None else value


def _bar(total: int, progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit="episode", desc="bench", file=sys.stderr, disable=not progress, mininterval=0.5)
