"""Hyper-parameters: those shipped, a user's over them, the command's over both; what cannot be is refused."""

import pytest

from armctl.errors import UsageError
from armctl.rl.settings import ALGORITHMS, TASKS, RLConfig, recipe


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_algorithm_has_a_recipe_for_every_task(task, algo):
    made = recipe(RLConfig(algo=algo, task=task))
    assert made.arms > 0
    assert made.steps >= made.arms
    assert (made.relabelled > 0) == (made.reward == "sparse")


def test_a_users_keys_go_over_the_shipped_ones_and_settings_over_both(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[reach.environment]\ncontrol = 'velocity'\n[reach.sac]\ngamma = 0.9\narms = 4\n")
    shipped, mine = (recipe(RLConfig(algo="sac", task="reach", arms=2, hyperparameters=p)) for p in (None, path))
    assert mine.model == shipped.model | {"gamma": 0.9}
    assert mine.environment == shipped.environment | {"control": "velocity"}
    assert mine.arms == 2
    assert recipe(RLConfig(algo="sac", task="reach", hyperparameters=path)).arms == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[reach", "is not readable TOML"),
        ("[walk.sac]\n", "has 'walk'; its tables are"),
        ("reach = 3\n", "has 'reach'; its tables are"),
        ("[reach.dqn]\n", r"has 'dqn' in \[reach\]"),
        ("[reach.sac]\narms = 'many'\n", r"arms of \[reach.sac\] is 'many'; give one whole number"),
        ("[reach.sac]\nbackend = 'mujoco'\n", "backend .* is 'mujoco'; choose bullet or twin"),
        ("[reach.sac]\nreward = 'rich'\n", "reward .* is 'rich'; choose dense or sparse"),
        ("[reach.sac]\nlearning_rate = 'lin_fast'\n", "learning_rate .* is 'lin_fast'; give a number, or lin_NUMBER"),
        ("[reach.sac]\nrelabelled = -1\n", "relabelled .* is -1"),
        (
            "[reach.environment]\nmax_episode_steps = 50\n"
            "[reach.sac]\nrelabelled = 4\nlearning_starts = 100\narms = 8\n",
            "is 100; .* give at least 400",
        ),
        ("[reach.sac]\nsteps = 100\narms = 8\n", "100 steps of 8 arms are too few for 20 judgements"),
    ],
)
def test_files_that_say_what_cannot_be_are_refused(text, said, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        recipe(RLConfig(algo="sac", task="reach", hyperparameters=path))


def test_goals_are_relabelled_only_where_that_makes_sense(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[reach.ppo]\nrelabelled = 4\n[track.sac]\nrelabelled = 4\n")
    for algo, task in (("ppo", "reach"), ("sac", "track")):
        with pytest.raises(UsageError, match="goals are relabelled on reach and reach_position alone"):
            recipe(RLConfig(algo=algo, task=task, hyperparameters=path))
