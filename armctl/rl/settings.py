"""What a policy is trained with: the settings of a run, and the hyper-parameters that a file has for its task."""

import tomllib
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from armctl import store
from armctl.errors import UsageError

ALGORITHMS = ("ppo", "sac", "tqc", "crossq")
TASKS = ("reach", "reach_position", "track")
OWN = {"arms": int, "steps": int, "backend": str, "reward": str, "bank_size": int, "relabelled": int, "normalise": bool}
"""Keys of an algorithm's table that are ours, with their types; the others are arguments of the algorithm."""
FALLS = "lin_"
"""How a value begins that falls linearly to 0 in the course of training."""


@dataclass(frozen=True)
class RLConfig:
    """A policy, the task it learns and the budget; what is None is that of the hyper-parameters."""

    robot: str = "panda"
    """Name of an arm in the assets, or path of a URDF."""
    algo: Literal["ppo", "sac", "tqc", "crossq"] = "sac"
    """Algorithm, of sbx."""
    task: Literal["reach", "reach_position", "track"] = "reach_position"
    """To reach poses, to reach positions alone, or to track references."""
    backend: Literal["auto", "bullet", "twin"] = "auto"
    """Where it learns, by the hyper-parameters if auto; it is judged in PyBullet in either case."""
    scenario: str = "nominal"
    """Scenario preset of the plants that it learns on and is judged on."""
    steps: int | None = None
    """Environment steps, of all arms together."""
    arms: int | None = None
    """Arms that learn side by side."""
    judgements: int = 20
    """How often it is judged, at equal distances; a run that was stopped goes on from the last."""
    episodes: int = 96
    """Episodes of a judgement, the same each time."""
    seed: int = 0
    """Seed of weights, goals and plants."""
    hyperparameters: Path | None = None
    """TOML file with hyper-parameters of your own; those of armctl/rl/hyperparameters.toml if absent."""

    def __post_init__(self) -> None:
        for name in ("judgements", "episodes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; give at least 1.")


@dataclass(frozen=True)
class Recipe:
    """Everything that a run is made of, once a file and its settings have been read."""

    arms: int
    steps: int
    backend: str
    reward: str
    environment: dict[str, Any]
    """Arguments of the environment."""
    model: dict[str, Any]
    """Arguments of the algorithm, as the file has them."""
    bank_size: int = 256
    """Different episodes that are learned on; goals of poses are learned by heart where they are few."""
    relabelled: int = 0
    normalise: bool = False
    name: str = ""
    """The table that it is from, for messages."""


def is_policy_run(folder: str | Path) -> bool:
    """Whether it is a run folder of `train rl`."""
    try:
        return "recipe" in store.read_config(folder)
    except UsageError:  # none at all, or what another program calls config.json
        return False


def recorded(folder: str | Path) -> tuple[RLConfig, Recipe]:
    """Settings and recipe of a run folder of `train rl`. Raises UsageError where it is none."""
    if not is_policy_run(folder):
        raise UsageError(f"'{folder}' is not a run folder of 'armctl train rl'; name one.")
    given = store.read_config(folder)
    return RLConfig(**{one.name: given[one.name] for one in fields(RLConfig)}), Recipe(**given["recipe"])


def recipe(config: RLConfig) -> Recipe:
    """The hyper-parameters of a run: those shipped, over them those of the user's file, over them the settings.

    Raises UsageError for a file that cannot be read, and for tables, keys and values that are none.
    """
    table = _tables(config)
    environment, model = dict(table["environment"]), dict(table[config.algo])
    own = {key: model.pop(key) for key in OWN if key in model}
    own |= {key: value for key in ("arms", "steps", "backend") if (value := getattr(config, key)) not in (None, "auto")}
    name = f"[{config.task}.{config.algo}]"
    for key, kind in OWN.items():
        if key in own and type(own[key]) is not kind:
            raise UsageError(f"{key} of {name} is {own[key]!r}; give one {_called(kind)}.")
    made = Recipe(environment=environment, model=model, name=name, **own)
    _check(made, config)
    return made


def _called(kind: type) -> str:
    return {int: "whole number", str: "word", bool: "of true and false"}[kind]


def falling(value: Any) -> float | None:
    """Where "lin_0.001" begins to fall from, None for what is no such word. Raises ValueError without a number."""
    return float(value.removeprefix(FALLS)) if isinstance(value, str) and value.startswith(FALLS) else None


def _check(made: Recipe, config: RLConfig) -> None:
    for key, value in made.model.items():
        try:
            falling(value)
        except ValueError:
            raise UsageError(f"{key} of {made.name} is {value!r}; give a number, or {FALLS}NUMBER.") from None
    if made.backend not in ("bullet", "twin"):
        raise UsageError(f"backend of {made.name} is {made.backend!r}; choose bullet or twin.")
    if made.reward not in ("dense", "sparse"):
        raise UsageError(f"reward of {made.name} is {made.reward!r}; choose dense or sparse.")
    for key in ("arms", "steps", "bank_size"):
        if getattr(made, key) < 1:
            raise UsageError(f"{key} is {getattr(made, key)}; give at least 1.")
    if made.relabelled < 0:
        raise UsageError(f"relabelled of {made.name} is {made.relabelled}; give 0 or more.")
    if made.relabelled and (config.algo == "ppo" or config.task == "track"):
        raise UsageError(f"relabelled of {made.name} is {made.relabelled}; goals are relabelled "
                         "on reach and reach_position alone, and not for ppo.")  # fmt: skip
    first = made.arms * made.environment.get("max_episode_steps", 0)
    if made.relabelled and made.model.get("learning_starts", 100) < first:
        raise UsageError(
            f"learning_starts of {made.name} is {made.model.get('learning_starts', 100)}; goals can be relabelled once "
            f"episodes have ended: give at least {first}, {made.arms} arms times max_episode_steps."
        )
    if made.steps // config.judgements < made.arms:
        raise UsageError(
            f"{made.steps} steps of {made.arms} arms are too few for {config.judgements} judgements; raise steps or "
            "lower judgements."
        )


def _tables(config: RLConfig) -> dict[str, dict[str, Any]]:
    """The environment's table and the algorithm's, the user's keys over ours."""
    shipped = tomllib.loads((files("armctl.rl") / "hyperparameters.toml").read_text(encoding="utf-8"))
    given = {} if config.hyperparameters is None else _read(config.hyperparameters)
    ours, theirs = shipped[config.task], given.get(config.task, {})
    return {key: ours[key] | theirs.get(key, {}) for key in ("environment", config.algo)}


def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """A user's file. Raises UsageError where it cannot be read, or has a table that is none."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"'{path}' is not readable TOML ({error}); mend it.") from None
    kinds = ("environment", *ALGORITHMS)
    for task, tables in given.items():
        if task not in TASKS or not isinstance(tables, dict):
            raise UsageError(f"'{path}' has {task!r}; its tables are [TASK.ALGORITHM] with TASK {', '.join(TASKS)}.")
        wrong = [key for key, table in tables.items() if key not in kinds or not isinstance(table, dict)]
        if wrong:
            raise UsageError(f"'{path}' has {wrong[0]!r} in [{task}]; its tables are {', '.join(kinds)}.")
    return given
