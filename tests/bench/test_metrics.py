"""Laws every metric must obey, on synthetic motions whose errors are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from armctl.bench import iso9283, motion_metrics
from armctl.bench.metrics import FAILED_MM, Episode, episode_metrics
from armctl.geometry import matrix_to_quat

DT = 0.01


def circle(steps=301, period=3.0, radius=0.1, delay=0.0):
    phase = 2 * np.pi * (np.arange(steps) * DT - delay) / period
    position = np.stack([0.4 + radius * np.cos(phase), radius * np.sin(phase), np.full(steps, 0.5)], axis=-1)
    return np.concatenate([position, np.tile([0.0, 0, 0, 1], (steps, 1))], axis=-1)


def rest_to_rest(steps=301, hold=100):
    s = np.clip(np.arange(steps + hold) / (steps - 1), 0, 1)
    pose = np.tile([0.4, 0.0, 0.5, 0, 0, 0, 1.0], (steps + hold, 1))
    pose[:, 0] += 0.3 * (10 * s**3 - 15 * s**4 + 6 * s**5)
    return pose


def episode(pose, reference, moving=None, failure="", n=7):
    steps = len(pose)
    return Episode(
        DT,
        moving or steps,
        pose,
        reference,
        np.zeros((steps, n)),
        np.ones((steps, n)),
        np.full((steps - 1, n), 2.0),
        np.zeros((steps - 1, n)),
        np.arange(steps - 1) < 5,
        np.arange(steps - 1) < 10,
        np.where(np.arange(steps - 1) < 20, 0.9, 0.1),
        3.0,
        failure,
    )


def test_perfect_tracking_scores_zero():
    metrics = episode_metrics(episode(circle(), circle()))
    assert metrics["position_rmse_mm"] == metrics["orientation_max_deg"] == metrics["cross_track_mm"] == 0
    assert metrics["lag_ms"] == pytest.approx(0, abs=1e-6)
    assert metrics["within_1mm_0.5deg"] == metrics["end_1mm_0.5deg"] == 1


def test_constant_offset_is_every_position_error():
    offset = np.array([2e-3, -1e-3, 2e-3, 0, 0, 0, 0])
    metrics = episode_metrics(episode(circle() + offset, circle()))
    for name in ("position_rmse_mm", "position_p95_mm", "position_max_mm", "steady_position_rmse_mm"):
        assert metrics[name] == pytest.approx(3.0)
    assert (metrics["within_1mm_0.5deg"], metrics["within_5mm_5deg"]) == (0, 1)


def test_constant_rotation_is_the_orientation_error():
    pose = circle()
    pose[:, 3:] = matrix_to_quat(Rotation.from_rotvec(np.radians(7.0) * np.array([0.0, 0.6, 0.8])).as_matrix())
    metrics = episode_metrics(episode(pose, circle()))
    assert metrics["orientation_rmse_deg"] == pytest.approx(7.0)
    assert (metrics["within_5mm_5deg"], metrics["within_10mm_15deg"]) == (0, 1)


def test_quaternion_sign_does_not_matter():
    pose = circle()
    pose[::2, 3:] *= -1
    assert episode_metrics(episode(pose, circle()))["orientation_max_deg"] == 0


@pytest.mark.parametrize("delay", [-0.02, 0.013, 0.05, 0.2])
def test_lag_is_the_delay_and_is_no_cross_track_error(delay):
    metrics = episode_metrics(episode(circle(delay=delay), circle()))
    assert metrics["lag_ms"] == pytest.approx(1e3 * delay, abs=0.3)
    closed = motion_metrics.cross_track(circle(delay=delay)[:, :3], circle()[:, :3], DT, window=9.0)
    assert closed < 0.02 < metrics["position_rmse_mm"]


def test_cross_track_of_a_larger_circle_is_the_difference_of_radii():
    cross = motion_metrics.cross_track(circle(radius=0.104)[:, :3], circle(radius=0.1)[:, :3], DT)
    assert cross == pytest.approx(4.0, abs=0.02)


def test_transient_is_left_out_of_the_steady_metrics():
    pose = circle()
    pose[:100, 0] += 0.05
    metrics = episode_metrics(episode(pose, circle()))
    assert metrics["steady_position_max_mm"] == 0 < metrics["position_rmse_mm"]


def test_settling_time_and_overshoot_of_a_late_arm_that_runs_past():
    reference = rest_to_rest()
    late = np.concatenate([np.repeat(reference[:1], 20, axis=0), reference[:-20]])
    assert motion_metrics.settling_time(late[:, :3], reference[:, :3], DT) == pytest.approx(0.2)
    assert motion_metrics.settling_time(reference[:, :3], reference[:, :3], DT) == 0
    past = reference[:, :3].copy()
    past[300:320, 0] += 0.03
    assert motion_metrics.overshoot(past, reference[:, :3]) == pytest.approx(10.0)
    assert np.isnan(motion_metrics.settling_time(reference[:1, :3], reference[:1, :3], DT))


def test_effort_energy_violations_and_saturation():
    metrics = episode_metrics(episode(circle(), circle()))
    assert metrics["effort_n2m2s"] == pytest.approx(7 * 4 * 3.0)
    assert metrics["energy_j"] == pytest.approx(7 * 2 * 3.0)
    assert metrics["joint_limit_violations"] == 5
    assert metrics["saturation_s"] == pytest.approx(0.1)
    assert metrics["cautious_s"] == pytest.approx(0.2)


def test_jerk_of_a_cubic_is_its_third_derivative():
    t = np.arange(200) * DT
    assert motion_metrics.rms_jerk(np.stack([2 * t**3, 2 * t**3], -1), DT) == pytest.approx(12.0, rel=1e-3)


def test_smoothness_is_dimensionless_and_falls_with_tremor():
    path = circle()[:, :3]
    smooth = motion_metrics.ldlj(path, DT)
    assert motion_metrics.ldlj(3 * path, 2 * DT) == pytest.approx(smooth)
    tremor = path + 1e-3 * np.sin(40 * np.arange(len(path)) * DT)[:, None]
    assert motion_metrics.ldlj(tremor, DT) < smooth - 1


def test_failed_episode_scores_as_the_worst():
    metrics = episode_metrics(episode(circle(), circle(), failure="command is not finite"))
    assert (metrics["position_rmse_mm"], metrics["orientation_rmse_deg"]) == (FAILED_MM, 180)
    assert metrics["within_50mm"] == 0
    assert set(metrics) == set(episode_metrics(episode(circle(), circle())))


def test_iso9283_of_a_shifted_and_scattered_arm():
    path = circle()[:, :3]
    shift = np.array([0, 0, 3e-3])
    assert iso9283.path_accuracy(np.stack([path + shift] * 4), path) == pytest.approx(3.0)
    assert iso9283.path_repeatability(np.stack([path + shift] * 4), path) == pytest.approx(0, abs=1e-9)
    scatter = np.stack([path + k * shift for k in (-1, 1)])
    assert iso9283.path_accuracy(scatter, path) == pytest.approx(0, abs=1e-9)
    assert iso9283.path_repeatability(scatter, path) == pytest.approx(3.0)
    ends = np.array([[0.001, 0, 0], [0.003, 0, 0]])
    assert iso9283.pose_accuracy(ends, np.zeros(3)) == pytest.approx(2.0)
    assert iso9283.pose_repeatability(ends) == pytest.approx(1.0)
