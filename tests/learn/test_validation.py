"""Parameters are chosen by what they do elsewhere, and refused where the loop does not contract there."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx

from armctl import controllers, store
from armctl.arm import load_arm
from armctl.controllers import saved, shipped
from armctl.errors import UnstableError, UsageError
from armctl.learn import tune
from armctl.learn.calibration import calibrate, truth
from armctl.learn.validation import Validation, Verdict, better
from tests.learn.runs import CHAIN, CONFIG, SMALL, references

ARM = load_arm("planar3")
WATCHED = replace(CONFIG, train=replace(SMALL, validation=4, validate_every=6))


@pytest.fixture(scope="module")
def judged():
    """Controller and the function that validates parameters of it."""
    controller = controllers.make("computed_torque", ARM)
    setting = tune.training_setting(ARM, "torque", WATCHED)
    task = tune.make_held_out(CHAIN, references(), WATCHED)
    return controller, Validation(controller, setting, task, WATCHED.train)


def test_soft_gains_do_worse_and_none_do_not_contract(judged):
    controller, validate = judged
    params = nnx.state(controller, nnx.Param)
    firm = validate(params)
    assert firm.sound
    assert firm.contraction < 1
    limp = validate(jax.tree.map(lambda x: x - 20.0, params))  # logarithms of the gains
    assert limp.score > firm.score
    assert not limp.sound
    assert better(firm, limp)
    assert not better(limp, firm)


def test_contraction_is_not_asked_of_what_is_worse_anyway(judged):
    controller, validate = judged
    assert np.isnan(validate(nnx.state(controller, nnx.Param), 0.0).contraction)


def test_sound_parameters_come_before_more_accurate_ones():
    verdict = Verdict(1.0, 1.0, 0, 0.9, 1.0)
    assert better(verdict, replace(verdict, score=0.1, unstable=(3,)))
    assert better(replace(verdict, score=0.5), verdict)
    lost = replace(verdict, diverged=1, unstable=(3,))
    assert better(replace(lost, score=2.0), replace(lost, score=0.1, diverged=2))


@pytest.mark.slow
def test_stated_deviations_cover_the_truth_as_often_as_they_should():
    """On the plants that they are calibrated on, however small the filter takes its errors to be."""
    controller = controllers.make("filter_bank", ARM)
    controller.filter.log_velocity_noise[...] -= 2
    setting, config = tune.training_setting(ARM, "torque", WATCHED), replace(WATCHED, scenario="combined")
    task = tune.make_held_out(CHAIN, references(), config)
    validation = Validation(controller, setting, task, config.train)
    covered = []
    for _ in range(2):
        episodes, _ = validation.windows(nnx.state(controller, nnx.Param))
        told = [controller.estimates(after.carry) for after in episodes[1:]]
        off = [np.abs(np.asarray(x.dry) - truth(controller, task)["dry"]) for x in told]
        covered.append(np.mean([o <= 2 * np.asarray(x.dry_deviation) for o, x in zip(off, told, strict=True)]))
        calibrate(controller, validation)
    assert covered[0] < 0.8
    assert 0.9 < covered[1] < 1


def test_deviations_are_not_shrunk_where_there_is_nothing_to_estimate():
    """Without friction an estimate of none is exact; a deviation of zero would claim that it always is."""
    controller = controllers.make("filter_bank", ARM)
    setting, config = tune.training_setting(ARM, "torque", WATCHED), replace(WATCHED, scenario="nominal")
    calibrate(
        controller, Validation(controller, setting, tune.make_held_out(CHAIN, references(), config), config.train)
    )
    stretch = np.exp(np.asarray(controller.filter.log_stretch[...]))
    assert (stretch >= 1).all()
    assert np.isfinite(stretch).all()


def test_a_run_says_how_it_does_elsewhere_and_is_never_worse_than_textbook_gains(tmp_path):
    tune.tune(WATCHED, references(), tmp_path / "run", held_out=references())
    row = store.read_rows(tmp_path / "run" / "metrics.csv")[-1]
    assert float(row["validation_contraction"]) < 1
    assert 0 < float(row["validation_position_rms_mm"]) <= float(row["textbook_position_rms_mm"]) * 1.001


def test_gains_whose_loop_does_not_contract_are_refused(tmp_path, monkeypatch):
    made = tune.make

    def limp(*args):
        controller = made(*args)
        arrays = saved.parameters(controller)
        return saved.with_parameters(controller, {name: value - 20.0 for name, value in arrays.items()})

    monkeypatch.setattr(tune, "make", limp)
    few = replace(WATCHED, train=replace(WATCHED.train, gain_rate=1e-6))
    with pytest.raises(UnstableError, match="No gains of ComputedTorque were found whose loop contracts"):
        tune.tune(few, references(), tmp_path / "limp", held_out=references())
    assert "No gains" in store.read_json(tmp_path / "limp" / "summary.json")["status"]


def test_what_is_shipped_is_found_by_every_command_that_takes_a_name():
    from armctl.bench.plan import BenchConfig
    from armctl.commands.bench import find_controller
    from armctl.commands.controller_audit import as_trained
    from armctl.controller_audit import ControllerAuditConfig

    label, controller, folder = find_controller("tracker", load_arm("panda"), BenchConfig())
    assert label == "tracker"
    assert folder == shipped.folder("tracker", controller.arm)
    assert as_trained(ControllerAuditConfig(), folder).presets == ["combined", "combined", "latency", "nominal"]
    assert find_controller("tracker:default", load_arm("panda"), BenchConfig())[2] is None


def test_a_name_means_what_is_shipped_and_default_what_its_class_has():
    controller, folder = shipped.best("computed_torque:default", ARM)
    assert folder is None
    for name, value in saved.parameters(controllers.make("computed_torque", ARM)).items():
        np.testing.assert_array_equal(value, saved.parameters(controller)[name])
    with pytest.raises(UsageError, match="Unknown controller 'pid'"):
        shipped.best("pid", ARM)
