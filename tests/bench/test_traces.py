"""What is drawn of an episode over time is what was recorded, and beside estimates stands the truth."""

import base64
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from armctl.bench.metrics import position_error
from armctl.bench.records import Track
from armctl.report.traces import LINES, MISSING, POINTS, charts, packed, truth
from tests.bench.arms import CHAIN

ROW = {
    "control": "torque",
    "payload_mass": 2.0,
    "payload_com": "0 0.1 0.2",
    "payload_switch": "0.305",
    "next_payload_mass": 0.5,
    "next_payload_com": "0 0 0",
    "viscous": "0.1 0.2 0.3",
    "coulomb": "0.5",
    "latency": 3.0,
}


def unpacked(line):
    steps = np.frombuffer(base64.b64decode(line["data"]), np.uint8).astype(float)
    values = line["low"] + line["unit"] * np.where(steps == MISSING, np.nan, steps)
    return np.repeat(values, line.get("count", 1))


def track(samples, **estimates):
    rng = np.random.default_rng(0)
    pose, reference = rng.normal(size=(2, samples, 7))
    pose[:, 3:], reference[:, 3:] = [0, 0, 0, 1], [0, 0, 0, 1]
    command, torque = rng.normal(size=(2, samples - 1, 3))
    q, dwells = rng.normal(size=(samples, 3)), np.zeros((0, 3))
    return Track(0.01, samples, pose, reference, q, dwells, command, torque, estimates)


@settings(deadline=None, derandomize=True)
@given(arrays(float, st.integers(0, 50), elements=st.floats(-1e3, 1e3) | st.just(np.nan)))
def test_a_packed_line_is_the_line_to_a_pixel(values):
    line = unpacked(packed(values))
    spread = np.ptp(values[np.isfinite(values)]) if np.isfinite(values).any() else 0.0
    np.testing.assert_allclose(line, values, rtol=1e-6, atol=spread / 500 + 1e-12)


@pytest.mark.parametrize("samples", [1, 60, POINTS + 1, 5 * POINTS])
def test_charts_show_what_was_recorded(samples):
    one = track(samples)
    found = {chart["title"]: chart for chart in charts(CHAIN, ROW, one)}
    wanted = {"Joint positions": one.q, "Torques": one.torque, "Commands": one.command}
    wanted["Position error"] = np.log10(position_error(one.pose, one.reference))[:, None]
    assert set(found) == {*wanted, "Orientation error"}
    for title, values in wanted.items():
        every = round(found[title]["dt"] / one.dt)
        lines = np.stack([unpacked(line) for line in found[title]["lines"]], axis=1)
        assert len(lines) <= POINTS
        np.testing.assert_allclose(lines, values[::every], atol=0.05)


def test_a_run_from_before_torques_were_recorded_shows_the_rest():
    one = track(20)
    old = replace(one, command=one.command[:, :0], torque=one.torque[:, :0])
    titles = [chart["title"] for chart in charts(CHAIN, ROW, old)]
    assert titles == ["Position error", "Orientation error", "Joint positions"]


def test_beside_estimates_stand_the_truth_and_two_deviations():
    steps = np.ones(60)
    likely = np.tile([0.0, 0.5, 0.5], (60, 1))
    told = {
        "payload_mass": 1.5 * steps,
        "payload_mass_deviation": 0.2 * steps,
        "delay_probability": likely,
        "mood": steps,
    }
    drawn = charts(CHAIN, ROW, track(61, **told), settle=0.1)
    found = {chart["title"]: chart for chart in drawn if chart.get("told")}
    assert list(found) == ["Payload", "Delay", "Mood"]
    (load,), (low, high) = found["Payload"]["truth"], found["Payload"]["band"]
    np.testing.assert_allclose(unpacked(load), np.where(np.arange(1, 61) > 20, 0.5, 2.0), atol=0.01)
    assert unpacked(low) == pytest.approx([1.1] * 60)
    assert unpacked(high) == pytest.approx([1.9] * 60)
    assert unpacked(found["Delay"]["lines"][0]) == pytest.approx([1.5] * 60)
    assert unpacked(found["Delay"]["truth"][0]) == pytest.approx([3.0] * 60)
    assert "truth" not in found["Mood"]


def test_estimates_of_any_shape_are_drawn_as_far_as_they_can_be():
    told = {"image": np.zeros((60, 40, 40)), "odd_probability": np.ones(60), "load": np.ones(60)}
    told |= {"load_deviation": np.ones((60, 2)), "viscous": np.ones(60), "nothing": np.zeros((60, 0))}
    found = {chart["title"]: chart for chart in charts(CHAIN, ROW, track(61, **told)) if chart.get("told")}
    assert {title: len(chart["lines"]) for title, chart in found.items()} == {
        "Viscous friction": 1, "Image": LINES, "Odd": 1, "Load": 1, "Nothing": 0,
    }  # fmt: skip
    assert not any("truth" in chart or "band" in chart for chart in found.values())


def test_the_truth_has_the_arms_own_friction():
    time = np.array([0.1, 0.2])
    np.testing.assert_allclose(
        truth(CHAIN, ROW, "viscous", time), np.tile(CHAIN.damping + np.array([0.1, 0.2, 0.3]), (2, 1))
    )
    np.testing.assert_allclose(truth(CHAIN, ROW, "dry", time), np.tile(CHAIN.friction + 0.5, (2, 1)))
    np.testing.assert_allclose(truth(CHAIN, ROW, "payload_com", np.array([0.2, 0.4])), [[0, 0.1, 0.2], [0, 0, 0]])
    assert truth(CHAIN, ROW, "mood", time) is None
