"""Times of tables: their unit, their unevenness, and what encoders make of motions."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armctl.errors import UsageError
from armctl.motion.files import load_reference
from armctl.motion.reference import over_limits
from armctl.motion.smoothing import sampled
from tests.motion.tables import DATA, PANDA, STEP, Q, T, lines, load, wave

UNITS = {"milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}
DAY = 1.6e9  # s since 1970


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(list(UNITS)), st.sampled_from([0.004, 0.01, 0.02, 0.05, 0.1]), st.sampled_from([0.0, DAY]),
       st.floats(0.02, 1.0))  # fmt: skip
def test_other_units_of_time_are_recognised_and_said(tmp_path, unit, dt, start, speed):
    times = np.arange(0, 3, dt) / speed
    q = PANDA.home + 0.3 * np.sin(times * speed)[:, None]
    stamps = [str(round((start + t) / UNITS[unit])) for t in times]
    rows = (",".join([stamp, *(f"{x:.9g}" for x in row)]) for stamp, row in zip(stamps, q, strict=True))
    with pytest.warns(UserWarning, match=rf"times are taken for {unit}, .*'t \[s\]'"):
        found = load(tmp_path, "\n".join([",".join(["t", *Q]), *rows]))
    assert found.dt == pytest.approx(dt / speed, rel=1e-3, abs=0.6 * UNITS[unit])
    assert found.duration == pytest.approx(times[-1], rel=1e-2)


@pytest.mark.parametrize(("name", "factor"), [("t [ms]", 1e3), ("time_us", 1e6), ("T (ns)", 1e9), ("t [µs]", 1e6)])
def test_a_named_unit_needs_no_words(tmp_path, name, factor):
    found = load(tmp_path, lines([name, *Q], T * factor, wave(PANDA, T), form="{:.12g}"))
    assert found.duration == pytest.approx(2.0)
    assert "notes" not in found.meta


def test_seconds_are_seconds_also_between_waypoints_and_since_1970(tmp_path):
    waypoints = np.arange(6) * 10.0
    q = PANDA.home + 0.5 * np.sin(waypoints)[:, None]
    assert load(tmp_path, lines(["t", *Q], waypoints, q)).duration == pytest.approx(50.0)
    assert load(tmp_path, lines(["t", *Q], DAY + T, wave(PANDA, T), form="{:.13g}")).duration == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("seconds", "samples", "way"), [(50, 6, 0.05), (600, 61, 0.1), (900, 901, 1.5), (1500, 101, 5)]
)
def test_a_slow_table_in_seconds_is_not_taken_for_a_quick_one(tmp_path, seconds, samples, way):
    times, s = np.linspace(0, seconds, samples), np.linspace(-0.5, 0.5, samples)[:, None]
    q = np.array([0.0, 0.0, 0.0, -1.5, 0.0, 1.8, 0.0]) + way * s * np.eye(7)[0]
    with pytest.warns(UserWarning, match=rf"taken for seconds, {seconds} s in all, .* hardly moves; .* 't \[ms\]'"):
        found = load(tmp_path, lines(["t", *Q], times, q))
    assert found.duration == pytest.approx(seconds)
    assert "notes" not in load(tmp_path, lines(["t [s]", *Q], times, q)).meta


def test_where_the_times_as_seconds_are_too_long_a_smaller_unit_is_taken_however_fast_the_arm_is_in_it(tmp_path):
    q = PANDA.home + 0.9 * np.sin(3 * np.arange(0, 5, 0.01))[:, None] * np.eye(7)[0]  # rad, 2.7 rad/s of 2.2
    with pytest.warns(UserWarning, match=r"milliseconds, 4\.99 s in all"), pytest.warns(match="the velocity limit"):
        found = load(tmp_path, lines(["t", *Q], np.arange(500) * 10, q))
    assert found.duration == pytest.approx(4.99)


def test_a_motion_of_hours_is_a_mistake_that_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"lasts 2e\+0?6 s, more than 3600 s; .*'t \[ms\]'"):
        load(tmp_path, lines(["t [s]", *Q], T * 1e6, wave(PANDA, T)))


def test_the_file_with_nanoseconds_is_two_seconds_long():
    with pytest.warns(UserWarning, match="nanoseconds, 2 s in all"):
        found = load_reference(DATA / "panda_time_in_ns.csv", PANDA, 0.01)
    np.testing.assert_allclose(found.q, wave(PANDA, np.arange(201) * 0.01), atol=1e-5)


def encoded(q):
    return np.round(q / STEP) * STEP


def off(found):
    """How far a reference is from the wave that it was sampled from, rad."""
    times = np.arange(len(found.q)) * found.dt
    return np.abs(found.q - wave(PANDA, times)).max()


def test_the_file_with_jittered_times_is_within_an_encoder_step():
    found = load_reference(DATA / "panda_12bit_jittered_times.csv", PANDA, 0.01)
    assert off(found) < STEP
    assert over_limits(found, PANDA) == ""


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), steps=st.sampled_from([(1, 20, 39), (2, 5), (1, 2, 3, 50), (10,)]))
def test_uneven_true_times_of_an_encoder_end_within_an_encoder_step(tmp_path, seed, steps):
    times = np.concatenate([[0], np.cumsum(np.random.default_rng(seed).choice(steps, 150))]) * 1e-3
    found = load(tmp_path, lines(["t", *Q], times, encoded(wave(PANDA, times))), dt=0.01)
    assert off(found) < STEP
    assert over_limits(found, PANDA) == ""


@pytest.mark.parametrize("kind", ["jittered", "rounded", "rounded to equal ones"])
def test_uneven_stamps_of_even_samples_are_found_out_and_said(tmp_path, kind):
    times = np.arange(600) * 0.004
    stamps = times + np.random.default_rng(1).uniform(-0.0015, 0.0015, 600)
    stamps = {"jittered": stamps, "rounded": np.round(times / 0.003) * 0.003}.get(kind, np.floor(times / 0.01) * 0.01)
    q = PANDA.home + 0.5 * np.sin(2 * times)[:, None]
    with pytest.warns(UserWarning, match=r"rows are taken as evenly spaced by (3\.99\d|4|4\.00\d) ms"):
        found = load(tmp_path, lines(["t", *Q], stamps, encoded(q)), dt=0.004)
    assert np.abs(found.q - q[: len(found.q)]).max() < 2 * STEP
    assert over_limits(found, PANDA) == ""


def test_times_that_no_motion_fits_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.choice([0.0005, 0.3], 15))
    q = wave(PANDA, times) + rng.normal(0, 0.02, (15, 7))
    with pytest.raises(UsageError, match=r"times too uneven .* between t = .* would swing out"):
        load(tmp_path, lines(["t", *Q], times, q))


@pytest.mark.parametrize("shape", [lambda t: 0.3 * np.sin(3 * t), lambda t: 0.05 * np.abs(t - 1)])
def test_exact_samples_are_gone_through_be_they_smooth_or_angular(shape):
    q = PANDA.home + shape(T)[:, None]
    np.testing.assert_allclose(sampled(T, q, T)[0], q, atol=1e-6)


def test_dwells_and_steps_of_an_encoder_do_not_mislead():
    times = np.arange(0, 4, 0.005)
    s = np.clip(times - 1, 0, 1)[:, None]
    q = (10 * s**3 - 15 * s**4 + 6 * s**5) * [0.4, 0.04]
    assert np.abs(sampled(times, encoded(q), times)[0] - q).max() < STEP
