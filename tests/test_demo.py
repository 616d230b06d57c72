"""The demo goes on where it was interrupted, with what is whole, and ends as if nothing had been."""

import pytest

from armctl import demo, store
from armctl.errors import UsageError
from armctl.generator import FlowConfig, ProposalStats
from armctl.learn.learner import TrainConfig
from armctl.motion.corpus import build_corpus, references
from tests.cli.cases import content

SMALL = demo.DemoConfig(
    robot="planar3", scenario="nominal", corpus=60, episodes=1,
    tuning=TrainConfig(updates=1, batch=4, horizon=4, chunk=1, validation=0),
    flow=FlowConfig(steps=20, width=16, blocks=1, batch=16, chunk=20),
)  # fmt: skip


def proposals(model, chain, count, **options):
    """Motions of a corpus in place of proposals."""
    found = references(build_corpus(chain, 20, seed=1), chain, "train", limit=count)
    return found, ProposalStats(count, count, 1.0, 1.0, 1.0, {}, 0.0)


CHEAP = {
    "CONTROLLERS": ("computed_torque",),
    "_workers": lambda: 1,
    "torque_parity": lambda chain: {"max_joint_error_rad": 0.0},
    "propose": proposals,
    "write_report": lambda folder: store.write_text(folder / "report.html", "") or folder / "report.html",
}
"""In place of what is tested elsewhere and takes long."""


def never(*args, **kwargs):
    raise AssertionError("This was done before the interruption.")


def test_an_interrupted_demo_goes_on_with_what_is_whole(tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    for name, stand_in in CHEAP.items():
        monkeypatch.setattr(demo, name, stand_in)
    with monkeypatch.context() as patch:
        patch.setattr(demo, "run_bench", interrupted)
        with pytest.raises(KeyboardInterrupt):
            demo.run_demo(SMALL, tmp_path / "demo")
    made = content(tmp_path / "demo")
    with pytest.raises(UsageError, match=r"already exists; continue it with --resume"):
        demo.run_demo(SMALL, tmp_path / "demo")
    monkeypatch.setattr(demo, "train_flow", never)
    monkeypatch.setattr(demo, "propose", never)
    summary = demo.run_demo(SMALL, tmp_path / "demo", resume=True)
    assert summary["controllers"]["computed_torque"]["episodes"] == 2
    assert "about 15 s" in capsys.readouterr().err
    kept = content(tmp_path / "demo")
    whole = [name for name in made if name.endswith(".npz")]
    assert "computed_torque/learner.npz" in whole
    assert [name for name in whole if kept[name] != made[name]] == []
