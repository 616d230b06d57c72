"""Gymnasium ids of the shipped arms."""

from typing import Any

from gymnasium.envs.registration import register, registry

ROBOTS = ("panda", "iiwa14", "ur5e", "xarm6", "gen3", "planar3")
TASKS: dict[str, dict[str, Any]] = {
    "Reach": {"entry_point": "armctl.envs.reach:ReachEnv", "max_episode_steps": 200},
    "Track": {"entry_point": "armctl.envs.track:TrackEnv"},
}


def env_ids() -> list[str]:
    """Every registered id."""
    return [f"armctl/{robot.capitalize()}{task}-v0" for robot in ROBOTS for task in TASKS]


def register_all() -> None:
    """Register armctl/{Robot}{Reach,Track}-v0; a second call changes nothing."""
    for robot in ROBOTS:
        for task, spec in TASKS.items():
            name = f"armctl/{robot.capitalize()}{task}-v0"
            if name not in registry:
                register(name, kwargs={"robot": robot}, **spec)
