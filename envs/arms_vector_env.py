"""PyBullet arms in a few processes behind one `gymnasium.vector.VectorEnv`."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, DTypeLike

from armctl import store
from armctl.envs.arms import KEPT, Arrays
from armctl.envs.info_fields import Fields, fields_of
from armctl.envs.workers import Block, Here, Plan, Worker
from armctl.errors import UsageError, WorkerError
from armctl.plant.action import check_actions
from armctl.plant.vector import BANK, Draws, Seeds, check_mask


class ArmsVectorEnv(gym.vector.VectorEnv):
    """Copies of one environment, shared out among this process and others; next-step autoreset.

    Actions, observations and the numbers of info lie in memory that the processes share, so that a step costs one short
    message to each. This process steps arms too while it waits, and no core has two processes to serve. Which episodes
    the arms run: armctl.plant.vector.Draws.
    """

    def __init__(
        self,
        make: Callable[[], gym.Env],
        num_envs: int,
        *,
        processes: int | None = None,
        bank_size: int = BANK,
        seed: int | None = None,
    ) -> None:
        """make: of each environment; processes: this one among them, None for as many as there are cores.

        Raises UsageError for a number of processes that is none, and for spaces that are not of numbers.
        """
        self.num_envs = num_envs
        self._draws = Draws(num_envs, bank_size, seed)
        count = check_processes(processes, num_envs)
        one = make()  # before any process, so that what is wrong with the arguments is said here
        try:
            self._describe(one)
            info = one.reset(seed=0)[1]
        finally:
            one.close()
        self._fields = fields_of(info)
        plan = self._plan(make, self._fields)
        self._arrays: Arrays = plan.arrays()
        self._seeded = True  # whether there may be seeds of the last step in the arrays
        context = get_context("forkserver")  # a process in which JAX has run must not be forked
        *others, own = pairwise(shares(num_envs, count))
        # this process is the last to be told, since it answers at once
        self._workers: list[Here | Worker] = [Worker(context, plan, *arms) for arms in others]
        self._workers.append(Here(plan, *own))

    def _describe(self, env: gym.Env) -> None:
        self.spec, self.render_mode = env.spec, env.render_mode
        self.metadata = env.metadata | {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_action_space, self.single_observation_space = env.action_space, env.observation_space
        parts = _parts(env.observation_space)
        if not all(isinstance(space, spaces.Box) for space in (env.action_space, *parts.values())):
            raise UsageError(
                "make_vec runs environments whose actions and observations are numbers (Box, Dict of Box)."
            )
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def _plan(self, make: Callable[[], gym.Env], fields: Fields) -> Plan:
        n, actions = self.num_envs, _block(self.action_space.shape or (), np.float32)
        boxes = _parts(self.single_observation_space)
        observations = {key: _block((n, *box.shape), box.dtype) for key, box in boxes.items()}
        numbers = _block((n, KEPT + len(fields.flags)), np.float64)
        return Plan(make, actions, _block((n,), np.int64), observations, numbers, fields)

    def reset(self, *, seed: Seeds = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode on every arm, or where options["reset_mask"] (num_envs,) holds; other options are passed on.

        seed: see armctl.plant.vector.Draws. Raises UsageError for bad seeds and options.
        """
        self._check_open()
        options = dict(options or {})
        mask = check_mask(options.pop("reset_mask", None), self.num_envs)
        self._draws.reset(seed, mask)
        odd = self._run("step", options or None, move=False)
        return self._observation(), self._info(odd, self._arrays.numbers.T[KEPT:].copy(), mask)

    def step(self, actions: ArrayLike) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Hold actions (num_envs, m) in [-1, 1] for control_dt; arms whose episode is over start a new one instead."""
        self._check_open()
        self._arrays.actions[:] = check_actions(actions, self.action_space.shape)
        self._draws.renew()
        odd = self._run()
        numbers = self._arrays.numbers.T.copy()
        terminated, truncated = numbers[1:KEPT].astype(bool)
        self._draws.over(terminated | truncated)
        info = self._info(odd, numbers[KEPT:], np.ones(self.num_envs, bool))
        return self._observation(), numbers[0], terminated, truncated, info

    def _run(self, *command: Any, **kwargs: Any) -> list[tuple[int, dict[str, Any]]]:
        """Let all workers step at once, with episodes of the draws -> the infos that are not laid out as usual."""
        draws = self._draws
        if draws.starts or self._seeded:
            self._arrays.seeds[:] = np.where(draws.starting, np.take(draws.bank, draws.index), -1)
            self._seeded = draws.starts
        try:
            return [entry for answer in self._ask(self._workers, *command, **kwargs) for entry in answer]
        except Exception:
            draws.lost()
            raise

    def _ask(self, workers: Sequence[Here | Worker], *command: Any, **kwargs: Any) -> list[Any]:
        """The answers of some workers to one command; what one of them raised is raised when all have answered."""
        self._check_open()
        try:
            for worker in workers:
                worker.send(*command, **kwargs)
            answers = [worker.answer() for worker in workers]
        except (WorkerError, KeyboardInterrupt):  # answers that are under way would be taken for later ones
            self.close()
            raise
        for done, result in answers:
            if not done:
                raise result
        return [result for _, result in answers]

    def _observation(self) -> Any:
        copies = {key: x.copy() for key, x in self._arrays.observations.items()}
        return copies if isinstance(self.single_observation_space, spaces.Dict) else copies[""]

    def _info(
        self, odd: list[tuple[int, dict[str, Any]]], numbers: np.ndarray, reporting: np.ndarray
    ) -> dict[str, Any]:
        """Gymnasium's vector info of the arms that report. numbers: (K, arms)."""
        if odd:
            reporting = reporting.copy()
            reporting[[arm for arm, _ in odd]] = False
        info = self._fields.info(numbers, reporting) if reporting.any() else {}
        for arm, one in odd:
            info = self._add_info(info, one, arm)
        return info

    def call(self, name: str, *args: Any, arms: Sequence[int] | None = None, **kwargs: Any) -> tuple[Any, ...]:
        """An attribute of every environment, or of some `arms`, called with the arguments if it can be."""
        return self._by_arm(arms, "call", name, *args, **kwargs)

    def get_attr(self, name: str, arms: Sequence[int] | None = None) -> tuple[Any, ...]:
        """An attribute of every environment, or of some `arms`."""
        return self._by_arm(arms, "get", name)

    def _by_arm(self, arms: Sequence[int] | None, command: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        wanted = range(self.num_envs) if arms is None else arms
        found = dict(pair for answer in self._ask(self._workers, command, wanted, *args, **kwargs) for pair in answer)
        return tuple(found[arm] for arm in wanted)

    def set_attr(self, name: str, values: Any, arms: Sequence[int] | None = None) -> None:
        """Set an attribute of every environment, or of some `arms`: to one value each of a list or tuple, or all to one
        value."""
        wanted = range(self.num_envs) if arms is None else arms
        each = values if isinstance(values, list | tuple) else [values] * len(wanted)
        if len(each) != len(wanted):
            raise UsageError(f"There are {len(each)} values of {name} for {len(wanted)} environments; give one each.")
        self._ask(self._workers, "set", dict(zip(wanted, each, strict=True)), name)

    def render(self) -> tuple[Any, ...] | None:
        """The picture of every environment."""
        return self.call("render") if self.render_mode else None

    def _check_open(self) -> None:
        if self.closed:
            raise UsageError("The environment is closed; make a new one.")

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments and end their processes."""
        for worker in getattr(self, "_workers", []):
            worker.close()


def check_processes(processes: int | None, arms: int) -> int:
    """How many processes to use for so many arms, this one among them. Raises UsageError unless it is at least 1."""
    if processes is None:
        return min(arms, store.cores())
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise UsageError(f"processes is {processes!r}; give a whole number, 1 to use this process alone.")
    return min(processes, arms)


def shares(arms: int, processes: int) -> list[int]:
    """First arm of each process, and the end, (processes + 1,): the last, which also answers the caller, has no more
    than the others."""
    return [-(-i * arms // processes) for i in range(processes + 1)]


def _parts(space: spaces.Space[Any]) -> dict[str, Any]:
    return dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}


def _block(shape: tuple[int, ...], dtype: DTypeLike) -> Block:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Block(RawArray("b", max(size, 1)), np.dtype(dtype), shape)
