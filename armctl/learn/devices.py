"""Where a training run lives: its batch of episodes is cut over the devices, all else is on every one of them.

The update is written for the whole batch and compiled once for all devices. Random numbers are drawn by counter
(threefry), so that they do not depend on how many devices there are.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from armctl.errors import UsageError
from armctl.typing import Array

AXIS = "episodes"


def shardings(batch: int, devices: Sequence[jax.Device] | None = None) -> tuple[NamedSharding, NamedSharding]:
    """Shardings over devices, all of jax.devices() when None: (cut along the leading axis, whole on every device).

    batch: length of that axis. Raises UsageError where the devices do not divide it.
    """
    devices = jax.devices() if devices is None else devices
    count = len(devices)
    if batch % count:
        raise UsageError(
            f"batch is {batch}, which {count} devices cannot share evenly; choose a multiple of {count}, such as "
            f"{-(-batch // count) * count}, or show JAX fewer devices (CUDA_VISIBLE_DEVICES)."
        )
    mesh = Mesh(np.asarray(devices), (AXIS,))
    return NamedSharding(mesh, PartitionSpec(AXIS)), NamedSharding(mesh, PartitionSpec())


def place(tree: Any, sharding: NamedSharding) -> Any:
    """A pytree of arrays on the devices of a sharding, other processes' among them; every process has them all."""
    return jax.tree.map(lambda x: _place(x, sharding), tree)


def _place(x: Any, sharding: NamedSharding) -> Any:
    if sharding.is_fully_addressable or (isinstance(x, jax.Array) and not x.is_fully_addressable):
        return jax.device_put(x, sharding)
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_place(jax.random.key_data(x), sharding))
    whole = np.asarray(x)
    return jax.make_array_from_callback(whole.shape, sharding, lambda part: whole[part])


def gathered(x: Array) -> np.ndarray:
    """The whole of an array in NumPy; of one that other processes hold parts of, every process must ask together."""
    if isinstance(x, jax.Array) and not (x.is_fully_addressable or x.is_fully_replicated):
        return multihost_utils.process_allgather(x, tiled=True)
    return np.asarray(x)


def local(tree: Any) -> Any:
    """Arrays that are whole on every device as arrays of this process's default device, for use outside training."""
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), tree)
