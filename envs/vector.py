"""Many arms at once behind one `gymnasium.vector.VectorEnv`."""

from functools import partial

import gymnasium as gym

from armctl.errors import UsageError
from armctl.registration import register_all

BACKENDS = ("bullet", "twin")


def make_vec(id: str, n: int, *, backend: str = "bullet", **kwargs) -> gym.vector.VectorEnv:
    """n copies of an environment, stepped together.

    id: Gymnasium id, e.g. "armctl/PandaTrack-v0". backend: "bullet" runs PyBullet, one process per arm (autoreset in
    the next step); "twin" runs all arms in one batched JAX program. kwargs: arguments of the environment.
    Raises UsageError for n < 1 and for an unknown backend.
    """
    if not isinstance(n, int) or n < 1:
        raise UsageError(f"make_vec was asked for {n!r} environments; give a whole number of at least 1.")
    if backend not in BACKENDS:
        raise UsageError(f"Unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}.")
    if backend == "twin":
        from armctl.plant.vector import make_twin_vec

        return make_twin_vec(id, n, **kwargs)
    makers = [partial(_make, id, kwargs)] * n
    if n == 1:
        return gym.vector.SyncVectorEnv(makers)
    # forkserver, because a process in which JAX has run must not be forked
    return gym.vector.AsyncVectorEnv(makers, context="forkserver")


def _make(id: str, kwargs: dict) -> gym.Env:
    register_all()
    return gym.make(id, **kwargs)
