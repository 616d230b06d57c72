"""References that are exchanged for fresh ones as training goes on: a window that moves along an endless series.

The series comes in blocks, each decided by its number alone, so that a run that is resumed meets the same motions. All
tasks have the same sizes, and nothing is compiled anew.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from armctl.learn.learner import Learner
from armctl.motion.reference import Reference
from armctl.motion.windows import ReferenceBank, stack_references
from armctl.plant.scenario import PlantParams
from armctl.twin.episodes import Task, single

Draw = Callable[[int], tuple[list[Reference], dict[str, float]]]
"""Number of a block -> its references, as many in every block, and what is to be said of them in metrics.csv."""


class Exchange(NamedTuple):
    """What training goes on with."""

    task: Task  # of the sizes of the one before
    replaced: np.ndarray  # (N,) bool, references that are not those of the task before: their episodes are over
    row: dict[str, float]  # for metrics.csv


class Pool:
    """The references that are trained on: a window of blocks, moved on by one after every chunk of updates.

    The next block is drawn by a thread of its own while training goes on, until it is closed.
    """

    def __init__(self, draw: Draw, plants: PlantParams, samples: int, blocks: int, chunk: int, updates: int) -> None:
        """draw: the series; plants: M true ones; samples: padded length; blocks: in the window; chunk: updates after
        which it moves on; updates: after which none are wanted."""
        self.draw, self.plants, self.samples, self.blocks = draw, plants, samples, blocks
        self.chunk, self.updates = chunk, updates
        self.thread = ThreadPoolExecutor(1, "proposals")
        self.drawn: dict[int, Future[tuple[ReferenceBank, dict[str, float]]]] = {}

    def close(self) -> None:
        """Draw no more; wait for the block that is being drawn."""
        self.thread.shutdown(wait=True, cancel_futures=True)

    def __call__(self, update: int) -> Exchange:
        """What is trained on from an update on."""
        first = update // self.chunk
        wanted = range(first, first + self.blocks)
        ahead = [wanted.stop] if (first + 1) * self.chunk < self.updates else []
        self.drawn = {i: self.drawn.get(i) or self.thread.submit(self._block, i) for i in (*wanted, *ahead)}
        places = sorted(wanted, key=lambda i: i % self.blocks)
        parts, rows = zip(*(self.drawn[i].result() for i in places), strict=True)
        bank = jax.tree.map(lambda *x: np.concatenate(x), *parts)
        newest = wanted[-1]
        replaced = np.concatenate(
            [np.full(len(part.length), first > 0 and i == newest) for i, part in zip(places, parts, strict=True)]
        )
        return Exchange(single(Task(bank, self.plants)), replaced, rows[places.index(newest)])

    def exchange(self, learner: Learner) -> Exchange:
        """The same from where a learner is."""
        return self(int(learner.update))

    def block(self, number: int) -> ReferenceBank:
        """The references of a block."""
        known = self.drawn.get(number)
        return known.result()[0] if known else self._block(number)[0]

    def _block(self, number: int) -> tuple[ReferenceBank, dict[str, float]]:
        began = time.perf_counter()
        references, row = self.draw(number)
        bank: Any = stack_references(references, self.samples)
        return bank, {**row, "proposal_seconds": time.perf_counter() - began}
