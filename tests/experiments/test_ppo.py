"""PPO in one file, on the vector environments as Gymnasium has them, runs on either backend."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments import ppo


def test_advantages_are_discounted_sums_that_stop_where_episodes_end():
    rng = np.random.default_rng(0)
    reward, value, following = rng.normal(size=(3, 6, 2))
    ended = np.zeros((6, 2), bool)
    ended[2, 0] = ended[4, 1] = True
    found = ppo.advantages(*map(jnp.asarray, (reward, value, following, ended)), 0.9, 0.8)
    delta = reward + 0.9 * following - value
    for arm in range(2):
        for t in range(6):
            last = next((k for k in range(t, 6) if ended[k, arm]), 5)
            wanted = sum((0.9 * 0.8) ** (k - t) * delta[k, arm] for k in range(t, last + 1))
            assert found[t, arm] == pytest.approx(wanted, abs=1e-5)


def test_observations_are_scaled_by_the_statistics_of_all_that_was_shown():
    rng, scale = np.random.default_rng(1), ppo.Scale(3)
    parts = [rng.normal([1, -2, 3], [0.1, 1, 10], (50, 3)) for _ in range(4)]
    for part in parts:
        scale(part)
    np.testing.assert_allclose(scale.mean, np.concatenate(parts).mean(0), rtol=1e-4)
    np.testing.assert_allclose(scale.var, np.concatenate(parts).var(0), rtol=1e-2)


@pytest.mark.parametrize(("id", "backend"), [("armctl/Planar3Reach-v1", "twin"), ("armctl/Planar3Track-v1", "bullet")])
def test_it_runs_on_either_backend_and_judges_in_pybullet(id, backend, capsys):
    small = {"steps": 256, "arms": 8, "rollout": 16, "epochs": 2, "width": 8, "episodes": 2}
    ppo.main(ppo.Args(id=id, backend=backend, control="velocity", **small))
    said = capsys.readouterr().out
    assert "256 steps" in said
    assert "in PyBullet: " in said
