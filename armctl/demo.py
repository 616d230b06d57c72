"""The whole loop in one command: corpus, generator, a tracker that steers it, tuned baselines, bench, report."""

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from armctl import store
from armctl.audit.rollouts import torque_parity
from armctl.bench.plan import BenchConfig
from armctl.bench.run import run_bench
from armctl.bench.tuning import describe_tuning
from armctl.chain import Chain
from armctl.controllers.base import Controller
from armctl.controllers.registry import find
from armctl.cotrain import CotrainConfig, cotrain
from armctl.cotrain.ground import check_held_back
from armctl.errors import UsageError
from armctl.generator import (
    FlowConfig,
    ProposalStats,
    load_model,
    propose,
    save_model,
    train_flow,
    write_references,
)
from armctl.learn.learner import TrainConfig
from armctl.learn.tune import TuneConfig, tune
from armctl.motion.certificate import Checker, check_measured
from armctl.motion.corpus import Corpus, build_corpus, references
from armctl.motion.files import load_suite_dir
from armctl.motion.reference import Reference
from armctl.motion.sampling import check_eta
from armctl.plant.presets import sample_scenario
from armctl.report.page import write_report
from armctl.settings import check_finite
from armctl.urdf import load_chain

T = TypeVar("T")
SELDOM = 5.0  # s between lines on the progress of a part
LOOP, CORPUS = "tracker", "tracker_corpus"
"""Rows of the tracker: trained in the closed loop with the generator, and on the corpus alone."""
CONTROLLERS = (LOOP, CORPUS, "operational_space_integral", "computed_torque", "diff_ik")
REFERENCES = 128  # that are trained on at a time, in the loop as on the corpus: one size, so that programs are shared
LONGEST = 5.0  # s; longer motions are slow ones, which tell controllers apart least and cost most
WEAKNESSES = (
    "One arm, one payload preset and one seed of training: the intervals are over episodes, not over trainings.",
    "Every controller is tuned on the preset it is tested on; the grid (armctl bench --grid) has the other plants.",
    "On a plant without delay or sensor noise (preset payload_ideal) gains tuned to the edge of stability come close.",
    "Nothing is unmodelled on the preset of the demo, so the tracker's network has nothing to learn there; what helps "
    "are its filters on load and delay. The grid has plants with friction and ripple that no model knows.",
)


@dataclass(frozen=True)
class DemoConfig:
    """A small study that runs in minutes on two cores."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    scenario: str = "latency"
    """Preset of the true plants, in training and in the bench."""
    corpus: int = 1500
    """Motions in the corpus."""
    episodes: int = 20
    """References per suite in the bench (generated and held-out)."""
    speed: float | None = None
    """Share of the arm's limits that generated motions use; as in the corpus when None."""
    seed: int = 0
    """Seed of everything."""
    tuning: TrainConfig = field(default_factory=lambda: TrainConfig(updates=200, batch=64, horizon=32, validation=0))
    """The one budget that every controller is tuned with."""
    rounds: int = 2
    """Rounds of the closed loop, in which the tracker meets new proposals; they share its updates."""
    flow: FlowConfig = field(default_factory=FlowConfig)
    """The generator."""

    def __post_init__(self) -> None:
        check_finite(self)
        for name in ("corpus", "episodes", "rounds"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; the demo needs at least 1.")
        each, chunk = self.tuning.updates / self.rounds, self.tuning.chunk
        if each % min(chunk, each) or not each.is_integer():
            raise UsageError(
                f"updates is {self.tuning.updates}, which gives each of {self.rounds} rounds {each:g}; choose a whole "
                f"number below {chunk} for each, or a multiple of {chunk}."
            )
        if self.speed is not None:
            check_eta(self.speed)

    def loop(self) -> CotrainConfig:
        """The closed loop: small, on the plants and with the updates of the others."""
        train = replace(self.tuning, updates=self.tuning.updates // self.rounds, seed=self.seed)
        return CotrainConfig(
            robot=self.robot, controller=LOOP, scenario=self.scenario, seed=self.seed, train=train, rounds=self.rounds,
            references=REFERENCES, motions=self.corpus, labelled=256, refine=100, flow=self.flow,
        )  # fmt: skip


class Clock:
    """Progress lines with the time since the start, on standard error, the seconds each part took, and when to stop."""

    def __init__(self) -> None:
        self.start, self.seconds = time.perf_counter(), dict[str, float]()
        self.parts = dict[str, tuple[float, int, float]]()  # when and with how much each was told first, when last
        self.stopped = threading.Event()

    def check(self) -> None:
        """Raise CancelledError, in whatever thread, once the demo has been stopped."""
        if self.stopped.is_set():
            raise CancelledError

    def say(self, text: str) -> None:
        """One line of progress."""
        print(f"[{time.perf_counter() - self.start:5.0f} s] {text}", file=sys.stderr, flush=True)

    def left(self, what: str, done: int, total: int, note: str = "") -> None:
        """At most every SELDOM s a line on how far a part is and the time left at the pace since it was first told.

        Raises CancelledError as `check` does.
        """
        self.check()
        now = time.perf_counter()
        began, first, last = self.parts.setdefault(what, (now, done, now))
        if now - last < SELDOM or done <= first:
            return
        self.parts[what] = began, first, now
        seconds = (now - began) / (done - first) * (total - done)
        self.say(f"{what}: {done}/{total}{note}, about {seconds:.0f} s left")

    def timed(self, name: str, work: Callable[..., T], *args: Any) -> T:
        """Run a part and note how long it took."""
        self.check()
        began = time.perf_counter()
        result = work(*args)
        self.seconds[name] = time.perf_counter() - began
        self.say(f"{name.replace('_', ' ')}: done in {self.seconds[name]:.0f} s")
        return result


def run_demo(config: DemoConfig, out: str | Path, *, overwrite: bool = False, resume: bool = False) -> dict[str, Any]:
    """Train, generate, compare and report; return the content of summary.json.

    resume: go on with what an interrupted run with the same settings has left: controllers from their last chunk of
    updates, a generator and references that are whole, episodes that were run.

    The folder holds summary.json, report.html, the run folders of every controller and of the generator, the generated
    references and the bench. Raises UsageError for a folder that exists, or was started with other settings.

    What is trained in other threads is left at its next chunk of updates if one of them fails. Ctrl-C does not wait for
    that, for it can take as long as a compilation.
    """
    clock, chain = Clock(), load_chain(config.robot)
    check_measured(chain)
    sample_scenario(config.scenario, chain, np.random.default_rng(0))  # refuses an unknown preset before work starts
    out = store.create_run(out, config, overwrite=overwrite, resume=resume)
    corpus = clock.timed("build_corpus", _corpus, config, chain, clock)
    check_held_back(corpus)
    training = references(corpus, chain, "train", TuneConfig.control_dt, REFERENCES)
    # before the threads start: it runs in float64, and that switch and other threads' tracing do not mix
    parity = clock.timed("twin_parity", torque_parity, chain)
    compiling = sum(find(_kind(name)).compile_seconds for name in CONTROLLERS)
    clock.say(f"compiling while training starts, about {compiling} s")
    results = _trained(config, chain, corpus, training, out, clock)
    generated, stats = results.pop("generator")
    suites, certified = _suites(config, chain, corpus, generated)
    bench = BenchConfig(robot=config.robot, seed=config.seed, batch=2 * config.episodes, jobs=_workers())
    records = {name: describe_tuning(out / name) for name in CONTROLLERS}
    clock.say(f"bench in PyBullet: {len(CONTROLLERS)} controllers x {sum(map(len, suites.values()))} episodes")
    summary = clock.timed(
        "bench",
        lambda: run_bench(
            results, suites, [config.scenario], out / "bench", config=bench, records=records,
            resume=(out / "bench").exists(),
        ),
    )  # fmt: skip
    return _finish(config, out, clock, {**summary, "certified_references": certified}, parity, stats)


def _corpus(config: DemoConfig, chain: Chain, clock: Clock) -> Corpus:
    """The motions that all is trained on."""
    return build_corpus(
        chain, config.corpus, config.seed, progress=lambda count: clock.left("motions", count, config.corpus)
    )


def _trained(
    config: DemoConfig, chain: Chain, corpus: Corpus, training: list[Reference], out: Path, clock: Clock
) -> dict[str, Any]:
    """Every tuned controller by its name, and what _generate returns, made by several threads."""
    pool = ThreadPoolExecutor(_workers())  # as a context manager it would wait for its threads after Ctrl-C
    jobs: dict[str, Future[Any]] = {}
    try:
        tuned = [name for name in CONTROLLERS if name != LOOP]
        jobs[tuned[0]] = pool.submit(_tune, tuned[0], config, training, out, clock)  # takes longest
        made = jobs["generator"] = pool.submit(_generate, config, chain, corpus, out, clock)
        if LOOP in CONTROLLERS:
            jobs[LOOP] = pool.submit(_close_loop, made, config, corpus, out, clock)
        for name in tuned[1:]:
            jobs[name] = pool.submit(_tune, name, config, training, out, clock)
        for job in as_completed(jobs.values()):
            job.result()  # the first that fails ends all
        return {name: jobs[name].result() for name in (*CONTROLLERS, "generator")}
    except BaseException as error:
        clock.stopped.set()
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    finally:
        pool.shutdown(wait=False)


def _suites(
    config: DemoConfig, chain: Chain, corpus: Corpus, generated: list[Reference]
) -> tuple[dict[str, list[Reference]], dict[str, int]]:
    """The references that the checker certifies, by suite, and how many of the candidates those are."""
    held_out = _short(references(corpus, chain, "test"))[: config.episodes]
    with Checker(chain) as checker:
        candidates = {
            name: [checker.certified(r) for r in suite]
            for name, suite in (("generated", generated), ("held-out", held_out))
        }
    suites = {name: [r for r in suite if r.meta["certificate"]["valid"]] for name, suite in candidates.items()}
    counts = {"certified": sum(map(len, suites.values())), "total": sum(map(len, candidates.values()))}
    return suites, counts


def _workers() -> int:
    return max(1, min(2, os.cpu_count() or 1))


def _short(candidates: list[Reference]) -> list[Reference]:
    return [r for r in candidates if r.duration <= LONGEST]


def _kind(name: str) -> str:
    """What a row of the comparison is among the registered controllers."""
    return LOOP if name == CORPUS else name


def _close_loop(made: Future[Any], config: DemoConfig, corpus: Corpus, out: Path, clock: Clock) -> Controller:
    """Train the tracker on what the generator proposes, which its regret steers, once there is a generator."""
    made.result()
    folder = out / LOOP
    return clock.timed(
        f"train_{LOOP}",
        lambda: cotrain(
            config.loop(), folder, generator=load_model(out / "generator"), corpus=corpus,
            progress=_progress(LOOP, config, clock), tell=lambda text: clock.say(f"{LOOP}: {text}"), devices=_device(),
            resume=folder.exists(),
        ),
    )  # fmt: skip


def _progress(name: str, config: DemoConfig, clock: Clock) -> Callable[[dict[str, float]], None]:
    """What tells how far the training of a controller is."""
    return lambda row: clock.left(
        f"{name}, updates", int(row["update"]), config.tuning.updates, f", {row['position_rms_mm']:.2f} mm rms"
    )


def _device() -> list[jax.Device]:
    """Several are tuned at a time, and programs that span devices must not be started from several threads."""
    return jax.devices()[:1]


def _tune(name: str, config: DemoConfig, training: list[Reference], out: Path, clock: Clock) -> Controller:
    """Tune one controller with the common budget."""
    settings = TuneConfig(
        robot=config.robot,
        controller=_kind(name),
        scenario=config.scenario,
        seed=config.seed,
        train=replace(config.tuning, seed=config.seed),
    )

    folder, progress = out / name, _progress(name, config, clock)
    return clock.timed(
        f"train_{name}",
        lambda: tune(settings, training, folder, progress=progress, devices=_device(), resume=folder.exists()),
    )


def _generate(
    config: DemoConfig, chain: Chain, corpus: Corpus, out: Path, clock: Clock
) -> tuple[list[Reference], ProposalStats]:
    """Train the generator and let it propose certified references, as far as that is not done yet."""
    if (out / "generated").exists():  # appears when it is whole
        stats = store.read_json(out / "generated" / "summary.json")["proposals"]
        return load_suite_dir(out / "generated", chain), ProposalStats(**stats)
    if (out / "generator" / "config.json").exists():  # written last
        model = load_model(out / "generator")
    else:
        flow = replace(config.flow, seed=config.seed)
        model = clock.timed(
            "train_generator",
            lambda: train_flow(
                corpus, flow, chain=chain,
                progress=lambda row: clock.left("generator, updates", int(row["step"]), flow.steps),
            ),
        )  # fmt: skip
        save_model(model, out / "generator")
    wanted = 2 * config.episodes
    found, stats = clock.timed(
        "propose",
        lambda: propose(
            model, chain, wanted, speed=config.speed, seed=config.seed,
            progress=lambda kept, attempts: clock.left("certified references", kept, wanted),
        ),
    )  # fmt: skip
    chosen = sorted((_short(found) or found)[: config.episodes], key=lambda one: one.name)  # as a folder is read
    write_references(chosen, out / "generated", stats)
    return chosen, stats


def _finish(
    config: DemoConfig, out: Path, clock: Clock, summary: dict[str, Any], parity: dict[str, float], stats: ProposalStats
) -> dict[str, Any]:
    """Compose the summary, write the report next to it, and close the run."""
    summary = {
        **summary,
        "twin_parity": parity,
        "generator": asdict(stats),
        "weaknesses": list(WEAKNESSES),
        "seeds": {"seed": config.seed, **summary.get("seeds", {})},
        "wall_seconds": {**clock.seconds, "total": time.perf_counter() - clock.start},
    }
    store.write_json(out / "bench" / "summary.json", summary)
    report = clock.timed("report", write_report, out / "bench")
    os.replace(report, out / "report.html")
    summary["wall_seconds"] = {**clock.seconds, "total": time.perf_counter() - clock.start}
    store.write_json(out / "summary.json", summary)
    store.finish_run(out)
    return summary


def table(summary: dict[str, Any]) -> str:
    """The result as a text table, most accurate controller first."""
    rows = [
        f"{'controller':28s} {'position RMSE, mm':>24s} {'orientation, deg':>22s} {'limit viol.':>11s} {'failed':>6s}"
    ]
    ordered = sorted(summary["controllers"].items(), key=lambda item: item[1]["position_rmse_mm"]["iqm"])
    for name, block in ordered:
        p, o = block["position_rmse_mm"], block["orientation_rmse_deg"]
        position = f"{p['iqm']:9.3f} [{p['low']:.3f}, {p['high']:.3f}]"
        orientation = f"{o['iqm']:8.3f} [{o['low']:.3f}, {o['high']:.3f}]"
        rows.append(
            f"{name:28s} {position:>24s} {orientation:>22s} {block['joint_limit_violations']:11d} "
            f"{len(block['failures']):6d}"
        )
    generator = {name: 100 * summary["generator"][name] for name in ("validity_before", "validity_after")}
    rows.append(
        f"generator: {generator['validity_before']:.0f} % valid unguided, {generator['validity_after']:.0f} % guided, "
        f"acceptance {100 * summary['generator']['acceptance_rate']:.0f} %"
    )
    checked = summary["certified_references"]
    rows.append(f"certified: {checked['certified']} of {checked['total']} candidate references; only those were run")
    rows.append(f"twin parity: {summary['twin_parity']['max_joint_error_rad']:.1e} rad over 500 physics steps")
    return "\n".join(rows)
