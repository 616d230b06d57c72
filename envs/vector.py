"""Many arms at once behind one `gymnasium.vector.VectorEnv`."""

from functools import partial
from typing import Any

import gymnasium as gym

from armctl.envs.arms_vector_env import ArmsVectorEnv
from armctl.errors import UsageError

BACKENDS = ("bullet", "twin")


def make_vec(id: str, n: int, *, backend: str = "bullet", **kwargs: Any) -> gym.vector.VectorEnv:
    """n copies of an environment, stepped together; an arm whose episode is over starts the next one in the next step.

    id: Gymnasium id, e.g. "armctl/PandaTrack-v1". backend: "bullet" shares PyBullet arms out among `processes` (one per
    core; 1 for none but this one); "twin" runs all arms in one batched JAX program. bank_size (256), seed: the episodes
    that either draws from, the same ones (armctl.plant.vector.Draws). kwargs: these, and arguments of the environment.
    Raises UsageError for n < 1, an unknown backend and, of the twin, an id that is not one of armctl's.
    """
    if not isinstance(n, int) or n < 1:
        raise UsageError(f"make_vec was asked for {n!r} environments; give a whole number of at least 1.")
    if backend not in BACKENDS:
        raise UsageError(f"Unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}.")
    if backend == "twin":
        return _twins(id, n, **kwargs)
    own = {name: kwargs.pop(name) for name in ("processes", "bank_size", "seed") if name in kwargs}
    return ArmsVectorEnv(partial(_make, id, kwargs), n, **own)


def _make(id: str, kwargs: dict[str, Any]) -> gym.Env:
    """gym.make in a worker, which by looking this up has imported armctl and so knows its environments."""
    return gym.make(id, **{"disable_env_checker": True, **kwargs})


def _twins(id: str, n: int, **kwargs: Any) -> gym.vector.VectorEnv:
    known = [name for name in gym.registry if name.startswith("armctl/")]
    if id not in known:
        raise UsageError(f"Unknown environment {id!r}; choose one of {', '.join(known)}.")
    from armctl.twin.vector_env import TwinVectorEnv

    spec = gym.spec(id)
    task = "track" if str(spec.entry_point).endswith("TrackEnv") else "reach"
    if task == "reach":
        kwargs = {"max_episode_steps": spec.max_episode_steps, **kwargs}
    env = TwinVectorEnv(task=task, num_envs=n, **{**spec.kwargs, **kwargs})
    env.spec = spec
    return env
