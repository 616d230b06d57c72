"""Rounds of proposing, certifying, training, measuring and steering, into a folder from which a killed run goes on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from armctl import store
from armctl.arm import Arm
from armctl.bench.stats import cvar
from armctl.chain import Chain
from armctl.controllers.base import Controller
from armctl.controllers.registry import make
from armctl.controllers.saved import load, save
from armctl.cotrain.config import CotrainConfig
from armctl.cotrain.curricula import SCORES, Measured
from armctl.cotrain.ground import Ground, check_held_back, loop_corpus
from armctl.cotrain.page import PAGE, write_page
from armctl.cotrain.paths import PATHS
from armctl.cotrain.steering import Proposals, foretells, made_motions, proposals, refined, scorer
from armctl.errors import UsageError
from armctl.generator import FlowModel, load_model, save_model, train_flow
from armctl.generator.difficulty import Critic
from armctl.generator.proposals import check_fits
from armctl.learn import devices as dv
from armctl.learn.fresh import Exchange
from armctl.learn.learner import Learner, begin
from armctl.learn.tracking import LOST
from armctl.learn.train import train
from armctl.learn.tune import fingerprint, flatten, make_held_out, make_task, restore
from armctl.motion.certificate import check_measured
from armctl.motion.corpus import Corpus
from armctl.motion.reference import Reference
from armctl.urdf import load_chain

STATE, ROUNDS, METRICS = "state.npz", "rounds.csv", "metrics.csv"
UNTOLD = {"critic_rank": np.nan, "made": 0}
"""What rounds.csv says of a critic and of motions that were made where there are none."""
Progress = Callable[[dict[str, float]], None]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Record(CotrainConfig):
    """What config.json holds: the settings, with the updates of all rounds, and what they were used on."""

    robot_name: str = ""
    data: str = ""  # fingerprint of generator and corpus, where they were given
    title: str = ""
    family: str = ""
    information: str = ""


def cotrain(
    config: CotrainConfig,
    out: str | Path,
    *,
    generator: FlowModel | None = None,
    corpus: Corpus | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
    tell: Tell = lambda text: None,
    devices: Sequence[jax.Device] | None = None,
) -> Controller:
    """Train a controller and steer a generator in rounds, write the run folder `out`, and return the controller.

    generator: what proposals come from before anything is measured; trained on the corpus, into out/generator, when
    None. corpus: the motions that it knows; made for the arm from the seed when None. progress: called with a row of
    metrics after every chunk of updates; tell: with what begins; devices: among which the episodes are divided, all of
    jax.devices() when None.
    The folder holds what a tuning run has, so that a bench takes it as a controller, besides rounds.csv with a row for
    every round, state.npz to go on from, the generator as it is in the end (flow/), rounds.png and rounds.html.
    Raises UsageError for bad settings, a folder that exists, a generator of another arm or of other families.
    """
    out, chain = Path(out), load_chain(config.robot)
    check_measured(chain)
    controller = make(config.controller, Arm.from_chain(chain), config.control_dt, config.preview, config.seed)
    given = [] if generator is None else [np.asarray(generator.mean), np.asarray(generator.axes)]
    given += [] if corpus is None else [corpus.control_points]
    finished = resume and (out / PAGE).exists()  # written last: a run that is resumed has nothing left to do
    if corpus is None and not finished:
        tell("making motions")
        corpus = loop_corpus(config, chain, None if generator is None else generator.scene)
    if corpus is not None:
        _check_given(config, chain, corpus, generator)
    described = {name: getattr(controller, name) for name in ("title", "family", "information")}
    whole = replace(config.train, updates=config.rounds * config.train.updates)
    data = fingerprint(given) if given else ""
    record = _Record(**vars(replace(config, train=whole)), robot_name=chain.name, data=data, **described)
    store.create_run(out, record, overwrite=overwrite, resume=resume)
    if corpus is None or finished:
        return load(out, controller.arm)
    model = _generator(config, chain, corpus, generator, out, tell)
    loop = _Loop(Ground(config, chain, controller, corpus), model, out, tell)
    return loop.run(controller, progress, devices)


def _check_given(config: CotrainConfig, chain: Chain, corpus: Corpus, generator: FlowModel | None) -> None:
    """Raise UsageError for motions and a generator with which no run is to begin."""
    check_held_back(corpus)
    if known := set(config.without) & set(corpus.families):
        raise UsageError(
            f"Family {sorted(known)[0]} is to be held out, but is among the motions given; give a generator that was "
            "trained without it, or leave both out."
        )
    if generator is None:
        return
    check_fits(generator, chain)
    if generator.paths.families != corpus.families:
        raise UsageError(
            f"The generator knows the families {', '.join(generator.paths.families)}, co-training is on "
            f"{', '.join(corpus.families)}; train one on those, or leave it out."
        )
    if generator.scene != corpus.scene:
        here, there = ("free space" if scene is None else scene.name for scene in (generator.scene, corpus.scene))
        raise UsageError(
            f"The generator was trained in {here}, the corpus made in {there}; give those that go together."
        )


def _generator(
    config: CotrainConfig, chain: Chain, corpus: Corpus, model: FlowModel | None, out: Path, tell: Tell
) -> FlowModel:
    """The flow before the first round."""
    if model is None and (out / "generator" / "config.json").exists():
        model = load_model(out / "generator")
    if model is None:
        tell("training the generator")
        model = train_flow(corpus, replace(config.flow, seed=config.seed), chain=chain)
        save_model(model, out / "generator")
    # difficulty is regret here, not the error of a panel
    return replace(model, dial=None)


class _Loop:
    """Where a run is: the round, its flow and its proposals."""

    def __init__(self, ground: Ground, model: FlowModel, out: Path, tell: Tell) -> None:
        self.ground, self.config, self.out, self.tell, self.model = ground, ground.config, out, tell, model
        self.each = self.config.train.updates
        chunk = min(self.config.train.chunk, self.each)
        total, seed = self.config.rounds * self.each, self.config.seed
        self.budget = replace(self.config.train, updates=total, chunk=chunk, seed=seed)
        self.number, self.saved = 0, dict[str, np.ndarray]()
        self.began = time.perf_counter()
        if (out / STATE).exists():
            self._load(store.load_arrays(out / STATE))
        else:
            self._propose(None, None)
        self._forget()

    def run(
        self, controller: Controller, progress: Progress | None, devices: Sequence[jax.Device] | None
    ) -> Controller:
        """Train through all rounds that are left."""
        config, ground, task = self.config, self.ground, self._exchange_now().task
        learner = begin(controller, ground.setting, task, self.budget)
        if self.saved:
            learner = restore(learner, self.saved)
        else:
            self._save(learner)
        held_out = make_held_out(ground.chain, ground.held_out, replace(config, train=self.budget))
        summary: dict[str, Any] = {"status": "interrupted"}
        try:
            recorder = self._recorder(progress)
            learner = train(
                controller, ground.setting, task, self.budget, learner, recorder, devices, held_out, self._exchange
            )
            self._exchange(learner)  # the last round is looked at as well
            summary = {"status": "finished", "best": ground.on_suites(nnx.state(controller, nnx.Param))}
        finally:
            save(self.out, controller)
            rows = [{name: float(value) for name, value in row.items()} for row in store.read_rows(self.out / ROUNDS)]
            summary |= {"seconds": time.perf_counter() - self.began, "rounds": rows, "last": self._last_row()}
            store.write_json(self.out / "summary.json", summary)
        save_model(self.model, self.out / "flow")
        write_page(self.out)
        store.finish_run(self.out)
        return controller

    def _recorder(self, progress: Progress | None) -> Callable[[Learner, dict[str, float]], None]:
        def on_chunk(_: Learner, row: dict[str, float]) -> None:
            store.append_rows(self.out / METRICS, [row])
            if progress is not None:
                progress(row)

        return on_chunk

    def _exchange(self, learner: Learner) -> Exchange | None:
        """Between two rounds, what the next one trains on; before the first, what there is."""
        update = int(learner.update)
        if update % self.each:
            return None
        if update // self.each > self.number:
            self._close(learner)
        return self._exchange_now()

    def _exchange_now(self) -> Exchange:
        motions = self.proposals.motions(self.ground.chain, self.config.control_dt)
        samples = round(self.config.seconds / self.config.control_dt) + 1
        task = make_task(self.ground.chain, motions, self.config, samples)
        return Exchange(task, np.ones(len(motions), bool), {})

    def _close(self, learner: Learner) -> None:
        """Measure what a round has left, steer, propose for the next, and keep all that is needed to go on."""
        self.tell(f"measuring round {self.number + 1} of {self.config.rounds}")
        ground, params = self.ground, dv.local(learner.params)
        motions = self.proposals.motions(ground.chain, self.config.control_dt)
        measured, q = ground.measured(params, motions)
        row = self._row(measured) | ground.on_suites(params) | ground.monitors(motions)
        last = self.number + 1 == self.config.rounds
        critic, told = (None, UNTOLD) if last else self._learn(motions, measured, q)
        self.number += 1
        if not last:
            self._propose(measured, critic)
        store.append_rows(self.out / ROUNDS, [row | told | {"seconds": time.perf_counter() - self.began}])
        self._save(learner)

    def _learn(
        self, motions: Sequence[Reference], measured: Measured, q: np.ndarray
    ) -> tuple[Critic | None, dict[str, float]]:
        """A critic of what was measured, taught to the flow, and what to say of it in rounds.csv; None without use."""
        config, ground = self.config, self.ground
        if config.curriculum not in SCORES:
            return None, UNTOLD
        critic = scorer(config, ground.chain, measured, self.proposals.paths)
        told = UNTOLD | {"critic_rank": critic.rank_correlation}
        if not foretells(critic, len(motions)):
            self.tell("the critic cannot tell motions apart: the next round is not steered")
            return None, told
        if config.steering == "chosen":
            return critic, told
        self.tell("refining the generator")
        families, scene = ground.corpus.families, ground.corpus.scene
        made = made_motions(ground.chain, motions, q, measured.error[:, 0], LOST / 2, families, scene)
        self.model = refined(
            config, ground.chain, self.model, ground.known, ground.described, critic, self.proposals.paths, made,
            self.number,
        )  # fmt: skip
        return critic, told | {"made": 0 if made is None else len(made)}

    def _propose(self, measured: Measured | None, critic: Critic | None) -> None:
        self.tell(f"proposing for round {self.number + 1} of {self.config.rounds}")
        self.proposals = proposals(
            self.config, self.ground.chain, self.model, self.ground.corpus, measured, critic, self.number
        )

    def _row(self, measured: Measured) -> dict[str, float]:
        """What rounds.csv says of a round's own motions."""
        regret, steered = 1e3 * measured.regret, self.proposals.steered
        return {
            "round": self.number,
            "updates": (self.number + 1) * self.each,
            "acceptance_rate": self.proposals.acceptance,
            "proposal_seconds": self.proposals.seconds,
            "steered": float(steered.mean()),
            "error_mm": 1e3 * float(measured.error.mean()),
            "oracle_mm": 1e3 * float(measured.oracle.mean()),
            "regret_mm": float(regret.mean()),
            "regret_cvar_mm": float(cvar(regret)),
            "regret_steered_mm": float(regret[steered].mean()) if steered.any() else np.nan,
            "regret_unsteered_mm": float(regret[~steered].mean()),
        }

    def _save(self, learner: Learner) -> None:
        """All that the next round starts from, in one file."""
        arrays: dict[str, Any] = {f"learner/{name}": value for name, value in flatten(learner).items()}
        arrays |= {f"flow/{i}": leaf for i, leaf in enumerate(jax.tree.leaves(self.model.params))}
        arrays |= {f"paths/{name}": getattr(self.proposals.paths, name) for name in PATHS}
        arrays |= {"steered": self.proposals.steered, "contexts": self.model.contexts}
        facts = np.array([self.number, self.proposals.acceptance, self.proposals.seconds])
        store.save_arrays(self.out / STATE, arrays | {"facts": facts})

    def _load(self, arrays: dict[str, np.ndarray]) -> None:
        leaves, tree = jax.tree.flatten(self.model.params)
        kept = [jnp.asarray(arrays[f"flow/{i}"]) for i in range(len(leaves))]
        contexts = jnp.asarray(arrays["contexts"])
        self.model = replace(self.model, params=jax.tree.unflatten(tree, kept), contexts=contexts)
        corpus = self.ground.corpus
        fields: dict[str, Any] = {name: arrays[f"paths/{name}"] for name in PATHS}
        paths = replace(corpus, **fields)
        number, acceptance, seconds = arrays["facts"]
        self.number, self.proposals = (
            int(number),
            Proposals(paths, arrays["steered"], float(acceptance), float(seconds)),
        )
        self.saved = {k.removeprefix("learner/"): v for k, v in arrays.items() if k.startswith("learner/")}

    def _forget(self) -> None:
        """Drop rows of what was begun after the last round that is whole."""
        for name, key, limit in ((ROUNDS, "round", self.number - 1), (METRICS, "update", self.number * self.each)):
            rows = store.read_rows(self.out / name)
            kept = [row for row in rows if float(row[key]) <= limit]
            if len(kept) < len(rows):
                if kept:
                    store.write_rows(self.out / name, kept)
                else:
                    (self.out / name).unlink()

    def _last_row(self) -> dict[str, float]:
        rows = store.read_rows(self.out / METRICS) or [{}]
        return {name: float(value) for name, value in rows[-1].items()}
