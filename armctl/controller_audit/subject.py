"""The controller under audit, with the motions and plants that it is run on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from armctl.arm import Arm
from armctl.chain import Chain
from armctl.controller_audit.closed_loop import Loop, Run
from armctl.controller_audit.config import ControllerAuditConfig
from armctl.controllers.base import Controller
from armctl.motion.corpus import SPLIT_SHARES, build_corpus, references
from armctl.motion.reference import Reference
from armctl.motion.shapes import shape_suite
from armctl.motion.windows import stack_references
from armctl.plant.presets import sample_scenario
from armctl.plant.scenario import PlantParams, Scenario, plant_params, stack_params
from armctl.plant.servo import ServoConfig
from armctl.twin.episodes import Setting, Task, single
from armctl.urdf import load_chain

LONGEST = 8
"""Largest latency that is tried, control steps."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What every measurement is given."""

    config: ControllerAuditConfig
    chain: Chain
    loop: Loop
    motions: dict[str, list[Reference]]
    """By where they come from: train, val, test, shapes."""
    scenarios: list[Scenario]
    """The plants of config.scenario."""
    template: list[PlantParams] = field(repr=False)
    """Plants with every effect that the audit meets, so that all batches of plants have one form."""

    def task(self, motions: Sequence[Reference], scenarios: Sequence[Scenario]) -> Task:
        """Episodes of the scenarios, the motions in turn."""
        rows = [motions[i % len(motions)] for i in range(len(scenarios))]
        plants = [plant_params(self.chain, scenario) for scenario in scenarios]
        stacked = stack_params([*plants, *self.template])
        return single(Task(stack_references(rows, self.config.samples), _first(stacked, len(plants))))

    @property
    def held_out(self) -> Task:
        """Held-out motions on the plants of the scenario: what most is measured on."""
        return self.task(self.motions["test"], self.scenarios)

    def trained(self, seed: int) -> list[Scenario]:
        """Plants as in training; with its own seed they are its first ones."""
        rng, presets = np.random.default_rng(seed), self.config.presets
        return [sample_scenario(presets[i % len(presets)], self.chain, rng) for i in range(self.config.episodes)]


def make_subject(controller: Controller, config: ControllerAuditConfig) -> Subject:
    """Motions, plants and the loop for an audit. Raises UsageError for an arm that cannot be used."""
    chain, rng = load_chain(config.robot), np.random.default_rng([config.seed, 7])
    scenarios = [sample_scenario(config.scenario, chain, rng) for _ in range(config.episodes)]
    presets = dict.fromkeys([config.scenario, *config.presets])
    template = [plant_params(chain, sample_scenario(name, chain, rng)) for name in presets]
    template.append(plant_params(chain, Scenario(latency=LONGEST)))
    servo = ServoConfig(control=controller.control, physics_dt=config.physics_dt, control_dt=config.control_dt)
    setting = Setting(Arm.from_chain(chain), servo, controller.preview)
    return Subject(config, chain, Loop(controller, setting), _motions(chain, config), scenarios, template)


def _motions(chain: Chain, config: ControllerAuditConfig) -> dict[str, list[Reference]]:
    """The splits of the corpus that `tune` makes for these settings, and figures that are none of its families."""
    corpus = build_corpus(chain, max(10, math.ceil(config.references / SPLIT_SHARES[0]) + 1), config.trained_seed)
    limits = {"train": config.references, "val": None, "test": None}
    found = {split: references(corpus, chain, split, config.control_dt, limit) for split, limit in limits.items()}
    found = {split: motions or found["train"] for split, motions in found.items()}
    return {**found, "shapes": shape_suite(chain, config.control_dt)}


def _first(plants: PlantParams, count: int) -> PlantParams:
    from jax import tree

    return tree.map(lambda x: x[:count], plants)


def scaled_inertia(scenario: Scenario, factor: float) -> Scenario:
    """The scenario with mass and inertia of all links times a factor."""
    scale: Any = factor * np.asarray(scenario.inertia_scale)
    return replace(scenario, inertia_scale=tuple(scale.tolist()) if scale.ndim else float(scale))


def with_links(arm: Arm, factor: float) -> Arm:
    """The arm with the distances between its joint frames, and to the tip, times a factor; its inertia as it was."""
    return replace(arm, p_parent_link=factor * arm.p_parent_link, p_last_tip=factor * arm.p_last_tip)


@dataclass(frozen=True, eq=False)
class Finding:
    """What the audit says of one weakness."""

    numbers: dict[str, Any]
    """For summary.json."""
    sentences: list[str]
    """In words, each with its number."""
    series: dict[str, np.ndarray] = field(default_factory=dict)
    """For pictures and series.npz."""


def whole(subject: Subject) -> Run:
    """Held-out motions from their start: the run that others are compared with."""
    return subject.loop.run(subject.held_out)
