"""Tune or train one controller into a run folder: data, training with checkpoints, parameters, summary."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from armctl import store
from armctl.arm import Arm
from armctl.chain import Chain
from armctl.controllers.base import Controller
from armctl.controllers.registry import make
from armctl.controllers.saved import save
from armctl.errors import NonFiniteError, UnstableError, UsageError
from armctl.learn import devices as dv
from armctl.learn import hosts
from armctl.learn.fresh import Draw, Pool
from armctl.learn.learner import Learner, TrainConfig, begin, placement
from armctl.learn.train import train
from armctl.motion.reference import Reference
from armctl.motion.windows import stack_references
from armctl.plant.presets import sample_scenario
from armctl.plant.scenario import PlantParams, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.settings import check_finite
from armctl.twin.episodes import Setting, Task, single
from armctl.urdf import load_chain

HELD_OUT = 424242
"""Seed of the plants of validation, and of its motions where a generator proposes those of training."""
Progress = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class TuneConfig:
    """A tuning run: what is tuned, on which plants and references, with which budget."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    controller: str = "tracker"
    """Controller by name."""
    scenario: str = "combined,combined,latency,nominal"
    """Presets from which the true plants are drawn in turn, separated by commas; the controller is not told."""
    references: int = 300
    """References in the training set; of those drawn from a generator, under way at a time."""
    fresh: int = 32
    """References that are exchanged for fresh proposals after every chunk of updates, where a generator proposes."""
    plants: int = 256
    """True plants in the training set."""
    seconds: float = 4.0
    """Longest part of a reference that is trained on, s."""
    control_dt: float = 0.01
    """Time a command is held, s."""
    physics_dt: float = 0.002
    """Physics step, s."""
    preview: int = 7
    """Control steps of look-ahead."""
    seed: int = 0
    """Seed of weights, plants and references."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Budget and objective."""

    def __post_init__(self) -> None:
        check_finite(self)
        for name in ("references", "fresh", "plants"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; training needs at least 1.")
        if self.preview < 0:
            raise UsageError(f"preview is {self.preview}; give the number of future targets to look at, 0 or more.")
        if not self.seconds > 0:
            raise UsageError(f"seconds is {self.seconds:g}; give the longest part of a reference to train on, above 0.")
        if min(self.physics_dt, self.control_dt) > 0:
            ServoConfig(physics_dt=self.physics_dt, control_dt=self.control_dt)  # refuses steps that do not fit
            samples = round(self.seconds / self.control_dt) + 1
            if samples < self.train.horizon + 2:
                raise UsageError(
                    f"{self.seconds:g} s of a motion are {samples} samples, too few for windows of "
                    f"{self.train.horizon} control steps; raise seconds or lower train.horizon."
                )


def make_task(chain: Chain, references: list[Reference], config: TuneConfig, samples: int | None = None) -> Task:
    """Episodes to train on: references (cut to config.seconds) and plants drawn from the scenario presets, float32.

    samples: padded length, that of the longest reference when None.
    """
    samples = samples or min(max(len(r.q) for r in references), round(config.seconds / config.control_dt) + 1)
    if samples < config.train.horizon + 2:
        raise UsageError(
            f"The longest reference has {samples} samples, too few for windows of {config.train.horizon} control "
            "steps; lower train.horizon or give longer references."
        )
    plants = draw_plants(chain, config.scenario, config.plants, np.random.default_rng(config.seed))
    return single(Task(stack_references(references, samples), plants))


def make_pool(chain: Chain, draw: Draw, config: TuneConfig) -> Pool:
    """The same with references that are drawn as training goes on, in whole blocks of config.fresh."""
    plants = draw_plants(chain, config.scenario, config.plants, np.random.default_rng(config.seed))
    samples, blocks = round(config.seconds / config.control_dt) + 1, -(-config.references // config.fresh)
    chunk = min(config.train.chunk, config.train.updates)
    return Pool(draw, plants, samples, blocks, chunk, config.train.updates)


def make_held_out(chain: Chain, references: list[Reference], config: TuneConfig) -> Task | None:
    """Episodes to choose parameters by: other plants of the same presets, whatever seed is trained with.

    As many as config.train.validation, the references in turn; None for 0.
    """
    count = config.train.validation
    if not count:
        return None
    rng = np.random.default_rng(HELD_OUT)
    samples = min(max(len(r.q) for r in references), round(config.seconds / config.control_dt) + 1)
    rows = [references[i % len(references)] for i in range(count)]
    return single(Task(stack_references(rows, samples), draw_plants(chain, config.scenario, count, rng)))


def draw_plants(chain: Chain, scenario: str, count: int, rng: np.random.Generator) -> PlantParams:
    """So many plants, drawn from presets (separated by commas) in turn."""
    presets = [name.strip() for name in scenario.split(",")]
    return stack_params(
        [plant_params(chain, sample_scenario(presets[i % len(presets)], chain, rng)) for i in range(count)]
    )


def training_setting(arm: Arm, control: str, config: TuneConfig) -> Setting:
    """The fixed part of the episodes of a training run in one control mode."""
    servo = ServoConfig(control=control, physics_dt=config.physics_dt, control_dt=config.control_dt)
    return Setting(arm, servo, config.preview)


def tune(
    config: TuneConfig,
    references: list[Reference] | Draw,
    out: str | Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
    devices: Sequence[jax.Device] | None = None,
    held_out: list[Reference] | None = None,
) -> Controller:
    """Tune a controller on references of config.robot, write the run folder `out`, and return the controller.

    references: sampled every config.control_dt s, or what draws blocks of config.fresh of them as training goes on
    (`armctl.generator.Fresh`); held_out: others, by which parameters are chosen, each fifth of the references when
    None (which then is not trained on); progress: called with a row of metrics after every chunk of updates; devices:
    among which the episodes are divided, all of jax.devices() when None. Of several processes (hosts.connect) only
    the first reads and writes the folder.
    The folder holds config.json, metrics.csv, learner.npz (after every chunk, for resume), params.npz and summary.json.
    Raises UsageError for a folder that exists, or bad settings, NonFiniteError when training breaks down, and
    UnstableError where no parameters were found whose loop contracts on every plant of validation; params.npz then
    holds the best there were. A run that is resumed may have more updates than it was started with.
    """
    placement(config.train, devices)  # refuses a batch that the devices do not divide before work starts
    chain = load_chain(config.robot)
    arm = Arm.from_chain(chain)
    controller = make(config.controller, arm, config.control_dt, config.preview, config.seed)
    setting = training_setting(arm, controller.control, config)
    out = Path(out)
    done = int(_last_row(out).get("update", 0)) if resume else 0
    task, held, pool, names, data = _material(config, chain, references, held_out, done)
    setting = setting._replace(names=names)
    described = {name: getattr(controller, name) for name in ("title", "family", "information")}
    record = _Record(**_shallow(config), robot_name=chain.name, data=data, **described)
    hosts.agree(repr(record))
    if resume:
        hosts.on_first(lambda: _check_updates(out, config))
    hosts.on_first(
        lambda: store.create_run(out, record, overwrite=overwrite, resume=resume, may_change=("train.updates",))
    )
    learner = begin(controller, setting, task, config.train)
    if resume:
        learner = restore(learner, hosts.from_first(lambda: _saved(out, learner), flatten(learner)))
    started, last = time.perf_counter(), hosts.on_first(lambda: _last_row(out)) or {}
    status = "interrupted"
    try:
        on_chunk, exchange = _recorder(out, last, progress), None if pool is None else pool.exchange
        train(controller, setting, task, config.train, learner, on_chunk, devices, held, exchange)
        status = "finished"
    except (NonFiniteError, UnstableError) as error:
        status = str(error)
        raise
    finally:
        if pool is not None:
            pool.close()
        if hosts.is_first():
            save(out, controller)
            summary = {"status": status, "seconds": time.perf_counter() - started, "last": last}
            store.write_json(out / "summary.json", summary)
    hosts.on_first(lambda: store.finish_run(out))
    return controller


class _Material(NamedTuple):
    """What a run trains on and is judged by."""

    task: Task  # to begin with
    held_out: Task | None
    pool: Pool | None  # where references are drawn as training goes on
    names: tuple[str, ...]  # of the references of the task, for messages; none where they change
    data: str  # fingerprint of the references


def _material(
    config: TuneConfig, chain: Chain, references: list[Reference] | Draw, held_out: list[Reference] | None, done: int
) -> _Material:
    """The tasks of a run, arguments as of `tune`. done: updates that were made already."""
    if callable(references):
        others, pool = _given(held_out, config), make_pool(chain, references, config)
        data = fingerprint([pool.block(0).samples.q])
        return _Material(pool(done).task, make_held_out(chain, others, config), pool, (), data)
    known, others = _split(references, held_out, config)
    task, names = make_task(chain, known, config), tuple(reference.name for reference in known)
    held = make_held_out(chain, others, config)
    return _Material(task, held, None, names, fingerprint([reference.q for reference in known]))


def _check_updates(out: Path, config: TuneConfig) -> None:
    """Raise UsageError where a run that is resumed is past its last update already."""
    done = int(_last_row(out).get("update", 0))
    if done > config.train.updates:
        raise UsageError(
            f"'{out}' was trained for {done} updates already; updates can be raised on resume, not lowered to "
            f"{config.train.updates}."
        )


def _split(
    references: list[Reference], held_out: list[Reference] | None, config: TuneConfig
) -> tuple[list[Reference], list[Reference]]:
    """References to train on and to validate on; of fewer than five all serve for both, on different plants.

    Raises UsageError for a goal without a way to it: episodes of training begin on their reference.
    """
    if goal := next((one for one in (*references, *(held_out or [])) if "start" in one.meta), None):
        raise UsageError(f"Reference '{goal.name}' is a goal without a way to it; train on motions, as of suite reach.")
    if held_out is not None or not config.train.validation:
        return references, held_out or []
    if len(references) < 5:
        return references, references
    return [r for i, r in enumerate(references) if i % 5], references[::5]


def _given(held_out: list[Reference] | None, config: TuneConfig) -> list[Reference]:
    """The motions of validation beside fresh ones, which are none to hold back from. Raises UsageError without any."""
    if not held_out and config.train.validation:
        raise UsageError("Fresh references are trained on; give others to validate on (held_out), or validation=0.")
    return held_out or []


def _recorder(
    out: Path, last: dict[str, float], progress: Progress | None
) -> Callable[[Learner, dict[str, float]], None]:
    """What is done after every chunk of updates: files written, the last row remembered, progress told."""

    def on_chunk(learner: Learner, row: dict[str, float]) -> None:
        last.update(row)
        arrays = flatten(learner)
        hosts.on_first(lambda: _note(out, row, arrays))
        if progress is not None:
            progress(row)

    return on_chunk


def _saved(out: Path, learner: Learner) -> dict[str, np.ndarray]:
    """The learner of a run that is resumed, flat; the one given where the run was stopped before it saved any."""
    path = out / "learner.npz"
    return flatten(restore(learner, store.load_arrays(path)) if path.exists() else learner)


def _note(out: Path, row: dict[str, float], arrays: dict[str, np.ndarray]) -> None:
    """Keep a row of metrics and the learner after it."""
    store.append_rows(out / "metrics.csv", [row])
    store.save_arrays(out / "learner.npz", arrays)


def _last_row(out: Path) -> dict[str, float]:
    """The last row of metrics of a run that is resumed; empty for a new one."""
    rows = store.read_rows(out / "metrics.csv") or [{}]
    return {name: float(value) for name, value in rows[-1].items()}


def fingerprint(motions: Sequence[np.ndarray]) -> str:
    """Checksum of joint motions that are trained on, so that a run is not resumed with others."""
    digest = hashlib.sha256()
    for q in motions:
        digest.update(np.ascontiguousarray(q).tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Record(TuneConfig):
    """What config.json holds: the settings, and the arm and references they were used on."""

    robot_name: str = ""
    data: str = ""
    title: str = ""
    family: str = ""
    information: str = ""


def _shallow(config: TuneConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in asdict(config)}


def flatten(learner: Learner) -> dict[str, np.ndarray]:
    """A learner as a flat dictionary of arrays."""
    leaves = jax.tree.leaves(learner._replace(key=jax.random.key_data(learner.key)))
    return {f"{i:04d}": dv.gathered(leaf) for i, leaf in enumerate(leaves)}


def restore(like: Learner, arrays: dict[str, np.ndarray]) -> Learner:
    """A learner of the same structure from saved arrays.

    Raises UsageError where they do not fit.
    """
    bare = like._replace(key=jax.random.key_data(like.key))
    leaves, tree = jax.tree.flatten(bare)
    fits = len(arrays) == len(leaves) and all(
        arrays[f"{i:04d}"].shape == np.shape(leaf) for i, leaf in enumerate(leaves)
    )
    if not fits:
        raise UsageError(
            "learner.npz does not fit these settings, or another version of armctl wrote it; resume with the same ones "
            "or use --overwrite."
        )
    learner = jax.tree.unflatten(tree, [jnp.asarray(arrays[f"{i:04d}"]) for i in range(len(leaves))])
    return learner._replace(key=jax.random.wrap_key_data(learner.key))
