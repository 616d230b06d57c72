"""Many arms at once behind one `gymnasium.vector.VectorEnv`."""

from functools import partial
from typing import Any

import gymnasium as gym

from armctl.errors import UsageError

BACKENDS = ("bullet", "twin")


def make_vec(id: str, n: int, *, backend: str = "bullet", **kwargs: Any) -> gym.vector.VectorEnv:
    """n copies of an environment, stepped together.

    id: Gymnasium id, e.g. "armctl/PandaTrack-v1". backend: "bullet" runs PyBullet, one process per arm (autoreset in
    the next step); "twin" runs all arms in one batched JAX program. kwargs: arguments of the environment.
    Raises UsageError for n < 1, an unknown backend and, of the twin, an id that is not one of armctl's.
    """
    if not isinstance(n, int) or n < 1:
        raise UsageError(f"make_vec was asked for {n!r} environments; give a whole number of at least 1.")
    if backend not in BACKENDS:
        raise UsageError(f"Unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}.")
    if backend == "twin":
        return _twins(id, n, **kwargs)
    makers = [partial(_make, id, kwargs)] * n
    if n == 1:
        return gym.vector.SyncVectorEnv(makers)
    # forkserver, because a process in which JAX has run must not be forked
    return gym.vector.AsyncVectorEnv(makers, context="forkserver")


def _make(id: str, kwargs: dict[str, Any]) -> gym.Env:
    """gym.make in a worker, which by looking this up has imported armctl and so knows its environments."""
    return gym.make(id, **kwargs)


def _twins(id: str, n: int, **kwargs: Any) -> gym.vector.VectorEnv:
    known = [name for name in gym.registry if name.startswith("armctl/")]
    if id not in known:
        raise UsageError(f"Unknown environment {id!r}; choose one of {', '.join(known)}.")
    from armctl.twin.vector_env import TwinVectorEnv

    spec = gym.spec(id)
    task = "track" if str(spec.entry_point).endswith("TrackEnv") else "reach"
    if task == "reach":
        kwargs = {"steps": spec.max_episode_steps, **kwargs}
    env = TwinVectorEnv(task=task, num_envs=n, **{**spec.kwargs, **kwargs})
    env.spec = spec
    return env
