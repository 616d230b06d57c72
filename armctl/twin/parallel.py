"""One function of many rows, run in blocks that fit a core's cache and on all cores at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from armctl import store

BLOCK = 128
"""Rows in a block: what a control step of so many arms needs stays in a core's second cache."""
FEWEST = 4
"""Blocks that make it worth while to wake another core."""


class Cut(NamedTuple):
    """How rows are cut: shards, one per core, of blocks of rows; the last rows are padding."""

    shards: int
    blocks: int
    size: int


def cut_for(rows: int, cores: int | None = None) -> Cut:
    """The cut for so many rows; other devices than the CPU take them whole. cores: all of this process' when None."""
    if jax.default_backend() != "cpu":
        return Cut(1, 1, rows)
    blocks = -(-rows // BLOCK)
    shards = max(1, min(cores or store.cores(), blocks // FEWEST))
    blocks = -(-blocks // shards)
    return Cut(shards, blocks, -(-rows // (shards * blocks)))


class Shards:
    """Calls f(shared, kept, *rows) -> (kept, out) for all rows, where `kept` stays on the device between calls.

    f takes and gives pytrees of (rows, ...) arrays, each row for itself, and is compiled once for a block. XLA runs one
    such program on a single core, so every shard has a thread, which lets go of Python's lock while XLA computes.
    """

    def __init__(self, f: Callable[..., tuple[Any, Any]], rows: int, cut: Cut | None = None) -> None:
        self.rows, self.cut = rows, cut or cut_for(rows)
        self._f = jax.jit(partial(_in_blocks, f))
        self._pool = ThreadPoolExecutor(self.cut.shards) if self.cut.shards > 1 else None

    def __call__(self, shared: Any, kept: list[Any], *rows: np.ndarray) -> tuple[list[Any], Any]:
        """f of every row. kept: one pytree per shard; rows: (rows, ...) each -> kept, and NumPy arrays (rows, ...)."""
        shards, parts = range(self.cut.shards), [self._split(x) for x in rows]

        def run(k: int) -> tuple[Any, Any]:
            new, out = self._f(shared, kept[k], *(part[k] for part in parts))
            return new, jax.device_get(out)

        done = [run(k) for k in shards] if self._pool is None else list(self._pool.map(run, shards))
        join = lambda *xs: np.concatenate([x.reshape(-1, *x.shape[2:]) for x in xs])[: self.rows]  # noqa: E731
        return [new for new, _ in done], jax.tree.map(join, *(out for _, out in done))

    def blank(self, shape: Any) -> list[Any]:
        """What is kept, all zeros, before the first call. shape: of one row, a pytree of ShapeDtypeStruct."""
        blocks = (self.cut.blocks, self.cut.size)
        return [jax.tree.map(lambda x: jnp.zeros(blocks + x.shape, x.dtype), shape) for _ in range(self.cut.shards)]

    def _split(self, x: np.ndarray) -> np.ndarray:
        """Rows (rows, ...) -> (shards, blocks, size, ...), the last row repeated where there are too few."""
        missing = self.cut.shards * self.cut.blocks * self.cut.size - self.rows
        x = np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else x
        return x.reshape(*self.cut, *x.shape[1:])

    def close(self) -> None:
        """End the threads; any number of times."""
        if self._pool is not None:
            self._pool.shutdown()


def _in_blocks(f: Callable[..., Any], shared: Any, *rows: Any) -> Any:
    """f(shared, *rows) of one block of rows (blocks, size, ...) after the other."""
    return jax.lax.map(lambda block: f(shared, *block), rows)
