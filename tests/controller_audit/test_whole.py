"""A whole audit of a controller that estimates nothing, and what is refused."""

import json
from dataclasses import replace

import pytest

from armctl import controllers, store
from armctl.commands.controller_audit import as_trained
from armctl.controller_audit import audit, audit_controller
from armctl.errors import UsageError
from tests.controller_audit.loops import ARM, CONFIG, loop


@pytest.mark.slow
def test_a_whole_audit(tmp_path, monkeypatch):
    subject, _ = loop()
    monkeypatch.setattr(audit, "make_subject", lambda *_: subject)  # whose programs are compiled
    folder = tmp_path / "found"
    told = []
    summary = audit_controller(subject.loop.controller, CONFIG, folder, progress=told.append)
    assert len(set(told)) == len(told) == audit.STAGES
    assert summary["findings"]["opacity"] == {"estimates": False}
    assert "estimates nothing" in summary["sentences"]["opacity"][0]
    assert all(row["worst_mm"] >= row["random_mm"] for row in summary["findings"]["over_sensitivity"].values())
    saved = json.loads((folder / "summary.json").read_text())
    assert saved["findings"]["instability"]["delay"]["margin_steps"] >= 0
    page = (folder / "audit.html").read_text()
    assert all(title in page for title in ("Over-fitting", "Over-sensitivity", "Instability", "Opacity"))
    assert "http" not in page.replace("http://www.w3.org", "")
    assert {f"{name}.{kind}" for name in ("margins", "recovery") for kind in ("png", "svg")} <= {
        path.name for path in folder.iterdir()
    }
    assert store.read_config(folder)["episodes"] == 4
    with pytest.raises(UsageError, match="already exists"):
        audit_controller(subject.loop.controller, CONFIG, folder)


def test_what_does_not_fit_is_refused(tmp_path):
    tracker = controllers.make("computed_torque", ARM)
    with pytest.raises(UsageError, match=r"control_dt is 0.02 s, the controller's 0.01 s"):
        audit_controller(tracker, replace(CONFIG, control_dt=0.02), tmp_path / "a")
    with pytest.raises(UsageError, match="is for planar3, not panda"):
        audit_controller(tracker, replace(CONFIG, robot="panda"), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_motions_and_plants_of_training_are_those_of_the_run_folder(tmp_path):
    store.write_json(tmp_path / "config.json", {"config": {"references": 12, "scenario": "payload,nominal", "seed": 9}})
    found = as_trained(CONFIG, tmp_path)
    assert (found.references, found.trained_seed, found.presets) == (12, 9, ["payload", "nominal"])
    assert found.scenario == CONFIG.scenario
