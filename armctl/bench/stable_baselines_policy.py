"""Policies that stable-baselines3 or sbx saved, as controllers from outside."""

import json
import pickle
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from gymnasium import spaces

from armctl import store
from armctl.arm import Arm
from armctl.bench.identity import identity
from armctl.errors import UsageError
from armctl.rl.checkpoints import NORMALISER, POLICY, WITHOUT_REPLAY
from armctl.rl.settings import is_policy_run

LIBRARIES = ("stable_baselines3", "sb3_contrib", "sbx")


class StableBaselinesPolicy:
    """A model with `predict`, such as of stable-baselines3, giving the environment's own actions.

    What it observes says whether it tracks or reaches, and how many targets ahead it was trained with.
    """

    control = "action"
    family = "learned"

    def __init__(
        self, model: Any, n: int, control: str = "", normalise: Any = None, digest: int = 0, control_dt: float = 0.0
    ) -> None:
        """model: trained on `TrackEnv` or `ReachEnv` of an arm of n joints, on its dictionary or this flattened.

        control: mode of its actions; where it is not said, tip twists if there are 6 for another number of joints, else
        velocities, as the environment itself takes it. normalise: the VecNormalize it was trained under. digest: of the
        file it is from. control_dt: for how long an action was held in training, s; 0 where it is not known.
        Raises UsageError where its spaces are not those of either.
        """
        space = getattr(model, "action_space", None)
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise UsageError(
                f"The {type(model).__name__} policy gives {space}; the arms take numbers in [-1, 1] (Box)."
            )
        size, mode = space.shape[0], control
        if not mode:
            mode = "ee_twist" if size == 6 != n else "velocity"
        wanted = 6 if mode == "ee_twist" else n
        if size != wanted:
            raise UsageError(
                f"The {type(model).__name__} policy gives {size} numbers; control '{mode}' of an arm of {n} joints "
                f"takes {wanted}: name the arm that it was trained for, or its control mode, as FILE.zip:CONTROL."
            )
        self.title = type(model).__name__
        self.digest = digest or identity(getattr(model, "get_parameters", dict)())
        self._model = model
        inside = getattr(model, "get_vec_normalize_env", lambda: None)
        self._normalise = inside() if normalise is None else normalise
        self.task, options = _task(model.observation_space, n)
        self.environment = {"control": mode, **options}
        self.control_dt = control_dt

    @classmethod
    def load(cls, path: str | Path, arm: Arm, control: str = "") -> "StableBaselinesPolicy":
        """A saved policy (.zip) or a run folder of `train rl`, for an arm.

        `vecnormalize.pkl` beside it is what it was normalised by, `config.json` of its run says the rest. Raises
        UsageError where there is no policy, its library is missing, its spaces are not those of either task, and where
        its run was of another arm.
        """
        path = _file(Path(path))
        run, beside = _run_of(path), path.parent / NORMALISER
        if run.get("robot_name", arm.name) != arm.name:
            raise UsageError(f"'{path}' was trained for {run['robot_name']}, not {arm.name}; choose the same robot.")
        made = run["recipe"]["environment"] if run else {}
        model, normalise = _model(path), _normaliser(beside)
        digest = zlib.crc32(beside.read_bytes() if normalise else b"", zlib.crc32(path.read_bytes()))
        return cls(model, arm.n, control or made.get("control", ""), normalise, digest, made.get("control_dt", 0.0))

    def reset(self, info: dict[str, Any]) -> None:
        """Forget what a recurrent policy remembers."""
        self._memory: Any = None
        self._first = np.ones(1, bool)

    def act(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """The most likely action."""
        space = self._model.observation_space
        seen: Any = observation
        if not isinstance(space, spaces.Dict):
            seen = np.concatenate([np.ravel(observation[key]) for key in sorted(observation)])
        if self._normalise is not None:
            seen = self._normalise.normalize_obs(seen)
        action, self._memory = self._model.predict(seen, self._memory, self._first, deterministic=True)
        self._first = np.zeros(1, bool)
        return np.asarray(action)


def _file(path: Path) -> Path:
    """The policy itself, of a run folder the best of its judgements. Raises UsageError where it is not there yet."""
    if not path.is_dir():
        return path
    if not (path / POLICY).is_file():
        raise UsageError(
            f"The training in '{path}' is not finished; finish it with the same command and --resume, or name one of "
            f"{path}/checkpoints/*/{POLICY}."
        )
    return path / POLICY


def _run_of(path: Path) -> dict[str, Any]:
    """What the run of a policy recorded, of the best as of a checkpoint; nothing where it is of no run."""
    folder = next((one for one in list(path.resolve().parents)[:3:2] if is_policy_run(one)), None)
    return {} if folder is None else store.read_config(folder)


def _model(path: Path) -> Any:
    """The model of a file, by the algorithm that its policy belongs to."""
    if not path.is_file():
        raise UsageError(f"There is no file '{path}'; name a policy that stable-baselines3 or sbx saved, its .zip.")
    try:
        with ZipFile(path) as archive:
            data = json.loads(archive.read("data"))
        home = data["policy_class"]["__module__"]
    except (OSError, BadZipFile, KeyError, TypeError, ValueError):
        raise UsageError(f"'{path}' is not a policy that stable-baselines3 or sbx saved; name its .zip.") from None
    library, _, place = home.partition(".")
    algorithm = {"crossq": "CrossQ"}.get(place.split(".")[0], place.split(".")[0].upper())
    if algorithm == "COMMON":
        algorithm = "PPO" if "clip_range" in data else "A2C"
    if library not in LIBRARIES:
        raise UsageError(f"'{path}' holds a policy of '{library}'; those of {', '.join(LIBRARIES)} are read.")
    try:
        kind = getattr(import_module(library), algorithm)
    except (ImportError, AttributeError):
        name = library.replace("_", "-") + ("-rl" if library == "sbx" else "")
        raise UsageError(f"'{path}' needs {library}.{algorithm}; install it with: pip install {name}") from None
    return kind.load(path, device="cpu", custom_objects=WITHOUT_REPLAY)


class _Normaliser:
    """A saved VecNormalize, which after loading could not be sent to other processes itself."""

    def __init__(self, data: bytes) -> None:
        self.__setstate__(data)

    def __getstate__(self) -> bytes:
        return self._data

    def __setstate__(self, data: bytes) -> None:
        self._data, self._inside = data, pickle.loads(data)
        self._inside.training = False

    def normalize_obs(self, observation: Any) -> Any:
        """The observation by the statistics of training."""
        return self._inside.normalize_obs(observation)


def _normaliser(path: Path) -> _Normaliser | None:
    return _Normaliser(path.read_bytes()) if path.is_file() else None


def _task(space: Any, n: int) -> tuple[str, dict[str, Any]]:
    """The environment that a policy was trained in, by the size of what it observes, and its arguments."""
    known = dict(space.spaces) if isinstance(space, spaces.Dict) else {}
    if isinstance(space, spaces.Dict) and set(known) != {"observation", "achieved_goal", "desired_goal"}:
        raise UsageError(
            f"The policy observes {', '.join(known)}; state alone can be shown to policies from files: put one that "
            'sees pictures into a class of your own, with environment = {"observe": "both"}.'
        )
    goals = 2 * spaces.flatdim(known["desired_goal"]) if "desired_goal" in known else 0
    size = spaces.flatdim(known["observation"]) + goals if "observation" in known else spaces.flatdim(space)
    own = 2 * n + 9
    if size in (own + 6, own + 14):
        return "reach", {"position_only": size == own + 6}
    ahead, rest = divmod(size - own - 14, 6)
    if rest or ahead < 1:
        raise UsageError(
            f"The policy observes {space}; one for an arm of {n} joints observes the dictionary of Track or Reach, or "
            "it flattened: put another into a class of your own, as FILE.py:NAME."
        )
    return "track", {"preview": ahead - 1}
