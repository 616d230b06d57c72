"""A trained generator on disk: a folder with params.npz and config.json, as every armctl run folder."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from armctl import store
from armctl.errors import UsageError
from armctl.generator.config import FlowConfig
from armctl.generator.difficulty import FEATURES, Critic, Dial
from armctl.generator.flow import HISTORY, FlowModel
from armctl.generator.network import initialise
from armctl.generator.paths import PathCoder
from armctl.scene import scene_from_fields

ARRAYS, SETTINGS = "params.npz", "config.json"
FIELDS = ("mean", "axes", "contexts", "history")
CRITIC = ("mean", "scale", "weights")
REMEDY = "train again with `armctl train generator` or name another folder."


def save_model(model: FlowModel, folder: str | Path) -> Path:
    """Write a model into a folder, each file atomically; a config.json already there keeps its other entries."""
    folder = Path(folder)
    fields = dataclasses.asdict(model.config)
    record = {"config": fields, "seeds": {"seed": model.config.seed}, "versions": store.versions()}
    if (folder / SETTINGS).is_file():
        record = store.read_json(folder / SETTINGS)
    record["generator"] = {
        "flow": fields,
        "data": model.data,
        "condition": model.condition,
        "coder": model.coder and dataclasses.asdict(model.coder),
        "scene": model.scene and dataclasses.asdict(model.scene),
        "dial": model.dial
        and {"scenario": model.dial.scenario, "panel": model.dial.panel, **_facts(model.dial.critic)},
    }
    arrays = {name: getattr(model, name) for name in FIELDS}
    arrays |= {f"params/{i}": leaf for i, leaf in enumerate(jax.tree.leaves(model.params))}
    if model.dial is not None:
        arrays |= {"dial/errors": model.dial.errors}
        arrays |= {f"dial/{name}": getattr(model.dial.critic, name) for name in CRITIC}
    store.save_arrays(folder / ARRAYS, arrays)
    store.write_json(folder / SETTINGS, record)
    return folder


def load_model(folder: str | Path) -> FlowModel:
    """Read a model that save_model wrote. Raises UsageError where a file is missing or damaged."""
    folder = Path(folder)
    for name in (SETTINGS, ARRAYS):
        if not (folder / name).is_file():
            raise UsageError(f"There is no generator checkpoint file {folder / name}; {REMEDY}")
    model = _guarded(folder / SETTINGS, lambda path: _blank(store.read_json(path)["generator"]))
    return _guarded(folder / ARRAYS, lambda path: _filled(model, store.load_arrays(path)))


def _blank(settings: dict[str, Any]) -> FlowModel:
    """A model of the right sizes with fresh parameters."""
    config, coder = FlowConfig(**settings["flow"]), None
    if settings["coder"]:
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in settings["coder"].items()}
        coder = PathCoder(**fields)
    data, condition = int(settings["data"]), int(settings["condition"])
    if coder is not None and condition != coder.condition:
        raise ValueError(f"it knows {condition} conditions where this armctl has {coder.condition}: an earlier one's")
    scene = scene_from_fields(settings["scene"]) if settings.get("scene") else None
    dial = _blank_dial(settings["dial"]) if settings.get("dial") else None
    params = initialise(data, condition, config.width, config.embedding, config.blocks, config.seed)
    contexts, history = jnp.zeros((0, condition)), jnp.zeros((0, len(HISTORY)))
    return FlowModel(
        params, jnp.zeros(data), jnp.eye(data), contexts, history, config, data, condition, coder, scene, dial
    )


def _facts(critic: Critic) -> dict[str, float]:
    """What of a critic is no array."""
    return {"penalty": critic.penalty, "rank_correlation": critic.rank_correlation}


def _blank_dial(settings: dict[str, Any]) -> Dial:
    """A dial without its arrays."""
    nothing = np.zeros(0)
    critic = Critic(nothing, nothing, nothing, settings["penalty"], settings["rank_correlation"])
    return Dial(critic, nothing, settings["scenario"], tuple(settings["panel"]))


def _filled(model: FlowModel, arrays: dict[str, np.ndarray]) -> FlowModel:
    leaves, tree = jax.tree.flatten(model.params)
    loaded = [arrays[f"params/{i}"] for i in range(len(leaves))]
    if any(new.shape != old.shape or not np.isfinite(new).all() for new, old in zip(loaded, leaves, strict=True)):
        raise ValueError("its parameters have other sizes than config.json says, or are not finite")
    fields: dict[str, Any] = {name: jnp.asarray(arrays[name]) for name in FIELDS}
    if model.dial is not None:
        read: dict[str, Any] = {name: arrays[f"dial/{name}"] for name in CRITIC}
        critic = dataclasses.replace(model.dial.critic, **read)
        if critic.mean.shape != (len(FEATURES),):
            raise ValueError(f"its critic describes motions by {critic.mean.size} features, not {len(FEATURES)}")
        fields["dial"] = dataclasses.replace(model.dial, critic=critic, errors=arrays["dial/errors"])
    return dataclasses.replace(model, params=jax.tree.unflatten(tree, map(jnp.asarray, loaded)), **fields)


def _guarded(path: Path, read: Callable[[Path], FlowModel]) -> FlowModel:
    """Run read(path); any failure becomes one sentence about the file."""
    try:
        return read(path)
    except Exception as error:  # a damaged checkpoint can fail in many ways; all mean the same to the user
        raise UsageError(f"The generator checkpoint {path} is damaged ({error}); {REMEDY}") from error
