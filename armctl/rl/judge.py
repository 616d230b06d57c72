"""What a policy achieves in PyBullet, on the same episodes at every judgement."""

from typing import Any, NamedTuple

import numpy as np

JUDGED = 20_000_000
"""Seed of the episodes of judgement, far from those that are learned on."""


Figures = tuple[float, float, float, float]
"""Success, position error (m), orientation error (rad) and reward, of a step or of an episode."""


class Judgement(NamedTuple):
    """Over the episodes of a judgement."""

    success: float
    """Share of episodes that end within the tolerance; of tracking, of steps within it."""
    position_error_mm: float
    """Median over the episodes: of the error at the end, of tracking of the root mean square over the episode."""
    orientation_error_deg: float
    """Likewise."""
    reward: float
    """Mean over the episodes of the sum of rewards."""


def judge(model: Any, arms: Any, episodes: int, tracking: bool, normalise: Any = None) -> Judgement:
    """Run whole episodes with the policy's most likely actions.

    model: with `predict(observations)`. arms: a VecEnv in PyBullet. normalise: what turns observations into those that
    the policy was trained on, None for as they are. The first `episodes` that end count, of arms that start together.
    """
    arms.seed(JUDGED)
    observation, ended = arms.reset(), list[Figures]()
    running: list[list[Figures]] = [[] for _ in range(arms.num_envs)]
    while len(ended) < episodes:
        seen = observation if normalise is None else normalise(observation)
        observation, reward, done, infos = arms.step(model.predict(seen, deterministic=True)[0])
        for arm, info in enumerate(infos):
            running[arm].append(
                (float(info["is_success"]), info["position_error"], info["orientation_error"], reward[arm])
            )
            if done[arm]:
                ended.append(_episode(np.array(running[arm]), tracking))
                running[arm] = []
    table = np.array(ended[:episodes])
    return Judgement(
        float(table[:, 0].mean()),
        1000 * float(np.median(table[:, 1])),
        float(np.rad2deg(np.median(table[:, 2]))),
        float(table[:, 3].mean()),
    )


def _episode(steps: np.ndarray, tracking: bool) -> Figures:
    """Success, position error (m), orientation error (rad) and return of one episode; steps (K, 4)."""
    success, position, angle, reward = steps.T
    if not tracking:
        return success[-1], position[-1], angle[-1], reward.sum()
    return success.mean(), np.sqrt(np.mean(position**2)), np.sqrt(np.mean(angle**2)), reward.sum()
