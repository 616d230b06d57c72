"""Laws of the flow: it learns what it is shown, obeys its condition, and repeats itself exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mixture import SMALL, fit_mixture, mixture

from armctl.errors import UsageError
from armctl.generator import FlowConfig, fit_flow, load_model, sample, save_model
from armctl.generator.flow import HISTORY
from armctl.generator.training import drop_condition

KEY = jax.random.key(0)


def draw(flow, condition, count=400):
    return np.asarray(sample(flow, KEY, np.array(condition), count))


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_known_condition_selects_its_mode(flow, side):
    x = draw(flow, [side, 1.0, 0.5])
    assert np.mean(np.sign(x[:, 0]) == side) > 0.98
    assert np.allclose(x.mean(0), [2 * side, 0.5], atol=0.15)
    assert 0.2 < x[:, 0].std() < 0.45
    assert 0.05 < x[:, 1].std() < 0.25


def test_a_withheld_condition_leaves_both_modes(flow):
    x = draw(flow, [0.0, 0.0, -0.5])
    assert 0.3 < np.mean(x[:, 0] > 0) < 0.7
    assert np.mean(np.abs(np.abs(x[:, 0]) - 2) < 1.0) > 0.85
    assert abs(x[:, 1].mean() + 0.5) < 0.15


def test_a_batch_is_the_same_as_a_loop(flow):
    """Sample i must depend on the key and i alone."""
    conditions = mixture(6, 5)[1]
    batch = sample(flow, KEY, conditions)
    prefix = sample(flow, KEY, conditions[:3])
    assert np.allclose(batch[:3], prefix, atol=1e-5)


def test_seeds_decide_everything(flow):
    again, other = (fit_mixture(dataclasses.replace(SMALL, seed=seed)) for seed in (SMALL.seed, SMALL.seed + 1))
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (flow.params, again.params)), strict=True))
    assert not np.allclose(sample(flow, KEY, np.ones(3)), sample(other, KEY, np.ones(3)))


def test_training_lowers_the_validation_loss_and_logs_it(flow):
    history = dict(zip(HISTORY, np.asarray(flow.history).T, strict=True))
    assert history["step"].tolist() == [200.0, 400.0, 600.0]
    assert history["validation_loss"][-1] < 0.8 * 2  # predicting nothing costs E|x1 - x0|^2 = 2 per dimension
    assert np.isfinite(flow.history).all()


def test_euler_and_heun_agree_on_the_distribution(flow):
    euler = dataclasses.replace(flow, config=dataclasses.replace(flow.config, sampler="euler", sampler_steps=64))
    a, b = draw(flow, [1.0, 1.0, 0.0]), draw(euler, [1.0, 1.0, 0.0])
    assert np.abs(a - b).mean() < 0.1


def test_guidance_moves_samples_where_it_points(flow):
    inside = jax.tree_util.Partial(lambda z1, condition, to_data: jnp.clip(z1, -0.5, 0.5))
    free = sample(flow, KEY, np.array([1.0, 1.0, 0.4]), 400)
    held = sample(flow, KEY, np.array([1.0, 1.0, 0.4]), 400, guidance=inside)
    to_white = np.linalg.inv(flow.axes)
    assert np.mean(np.abs((free - flow.mean) @ to_white).max(axis=1) > 0.5) > 0.5
    assert np.abs((held - flow.mean) @ to_white).max() < 0.5 + 1e-4


def test_dropout_withholds_whole_groups():
    groups = jnp.array([[True, True, False]])
    dropped = np.asarray(drop_condition(KEY, jnp.ones((500, 3)), groups, 0.3))
    assert np.array_equal(dropped[:, 0], dropped[:, 1])
    assert np.all(dropped[:, 2] == 1)
    assert 0.2 < np.mean(dropped[:, 0] == 0) < 0.4


def test_a_saved_model_samples_identically(flow, tmp_path):
    loaded = load_model(save_model(flow, tmp_path / "model"))
    assert loaded.config == flow.config
    assert np.array_equal(draw(loaded, [1.0, 1.0, 0.0]), draw(flow, [1.0, 1.0, 0.0]))
    assert not [path for path in (tmp_path / "model").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["params.npz", "config.json"])
def test_a_damaged_or_missing_checkpoint_is_named(flow, tmp_path, name):
    folder = save_model(flow, tmp_path)
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UsageError, match=f"{name}.* is damaged .*train again"):
        load_model(folder)
    path.unlink()
    with pytest.raises(UsageError, match=f"no generator checkpoint file .*{name}.*train again"):
        load_model(folder)


def test_bad_settings_and_data_are_refused():
    with pytest.raises(UsageError, match="sampler is 'rk4'"):
        FlowConfig(sampler="rk4")
    with pytest.raises(UsageError, match="steps is 0"):
        FlowConfig(steps=0)
    with pytest.raises(UsageError, match="learning_rate is -1; it must be above 0"):
        FlowConfig(learning_rate=-1)
    with pytest.raises(UsageError, match="got 1 and 1"):
        fit_flow(np.ones((1, 2)), np.ones((1, 1)), np.ones((1, 2)), np.ones((1, 1)), SMALL)


def test_training_that_diverges_stops_with_advice():
    (x, c), validation = mixture(2000, 0), mixture(400, 1)  # as many as in fit_mixture, whose program serves here too
    with pytest.raises(UsageError, match="lower FlowConfig"):
        fit_flow(x, np.full_like(c, np.nan), *validation, SMALL, groups=(slice(0, 2),))
