"""The pure array functions behind smooth, against paths whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_legpose.trajectories.anchors import fade_offsets
from fiftyone_legpose.trajectories.gaps import fill_gaps
from fiftyone_legpose.trajectories.lowpass import find_cutoff, lowpass
from fiftyone_legpose.trajectories.outliers import find_leaps, find_outliers
from tests.fiftyone_legpose.walking import LEG_PX, walk


def wave(time_s: np.ndarray, hz: float) -> np.ndarray:
    return np.stack([np.sin(2 * np.pi * hz * time_s), np.cos(2 * np.pi * hz * time_s)], axis=1)


def height(path: np.ndarray) -> float:
    """Root mean square of the middle half, where no border is felt."""
    middle = path[len(path) // 4 : -len(path) // 4]
    return float(np.sqrt((middle**2).mean()))


@pytest.mark.parametrize("fps", [25.0, 60.0, 120.0])
def test_the_cutoff_is_lowered_by_3_db_at_any_frame_rate(fps):
    time_s = np.arange(0, 8, 1 / fps)
    gain = height(lowpass(time_s, wave(time_s, 6.0), 6.0)) / height(wave(time_s, 6.0))
    assert gain == pytest.approx(10 ** (-3 / 20), abs=0.02)


def test_slow_motion_passes_without_a_lag():
    time_s = np.arange(0, 8, 1 / 30)
    path = wave(time_s, 1.0)
    assert np.abs(lowpass(time_s, path, 6.0) - path)[15:-15].max() < 0.01


def test_uneven_frames_are_filtered_by_their_times():
    rng = np.random.default_rng(0)
    time_s = np.cumsum(rng.choice([0.01, 0.06], 320))
    path = wave(time_s, 0.8)
    off = lowpass(time_s, path, 5.0) - path
    # By frame number the same frames would look like noise.
    as_counted = lowpass(np.arange(320) * time_s[-1] / 320, path, 5.0) - path
    assert height(off) < 0.4 * height(as_counted)


def test_a_low_frame_rate_is_not_filtered_at_a_cutoff_that_it_cannot_hold():
    time_s = np.arange(0, 5, 1 / 10)
    path = wave(time_s, 4.0)
    assert np.array_equal(lowpass(time_s, path, 6.0), path)


def test_points_of_little_weight_do_not_bend_the_path():
    time_s = np.arange(0, 4, 1 / 30)
    path = wave(time_s, 1.0)
    noisy, weight = path.copy(), np.ones(len(path))
    noisy[50:54] += 1.0
    weight[50:54] = 0.1
    off = [np.abs(lowpass(time_s, noisy, 6.0, w) - path)[50:54].max() for w in (None, weight)]
    assert off[1] < 0.5 * off[0]


def test_the_cutoff_that_is_found_rises_with_the_motion_and_falls_with_the_noise():
    rng = np.random.default_rng(1)
    time_s = np.arange(0, 20, 1 / 60)
    bounds = {"lowest_hz": 1.0, "highest_hz": 15.0}
    found = {
        (hz, noise): find_cutoff(
            time_s, wave(time_s, hz) + rng.normal(0, noise, (len(time_s), 2)), **bounds
        )
        for hz, noise in ((1.0, 0.05), (6.0, 0.05), (6.0, 0.005))
    }
    assert 1.0 <= found[1.0, 0.05] < found[6.0, 0.05] < found[6.0, 0.005] <= 15.0
    assert found[6.0, 0.05] > 6.0
    assert find_cutoff(time_s[:10], wave(time_s[:10], 1.0), **bounds) == 15.0


def test_only_short_gaps_are_filled_and_the_ends_never():
    time_s = np.arange(30) / 30
    path = np.stack([time_s, time_s**2], axis=1)
    holed = path.copy()
    holed[[0, 5, 6, 29]] = np.nan
    holed[12:22] = np.nan
    filled = fill_gaps(time_s, holed, 0.1)
    assert np.abs(filled[5:7] - path[5:7]).max() < 1e-3
    assert np.isnan(filled[[0, 29]]).all() and np.isnan(filled[12:22]).all()
    known = ~np.isnan(holed)
    assert np.array_equal(filled[known], holed[known])


def test_jumps_are_outliers_and_walking_is_not():
    time_s, points = np.arange(90) / 30, walk(90)
    assert not find_outliers(time_s, points, LEG_PX).any()
    points[40, 4] += 0.3 * LEG_PX
    points[60:62, 9] -= 0.2 * LEG_PX
    truth = np.zeros((90, 10), bool)
    truth[40, 4] = truth[60:62, 9] = True
    assert np.array_equal(find_outliers(time_s, points, LEG_PX), truth)


def test_a_leap_to_somebody_else_is_found_and_a_jump_there_and_back_is_none():
    time_s, hips = np.arange(60) / 30, walk(60)[:, :2].mean(axis=1)
    hips[20] += 2 * LEG_PX
    assert not len(find_leaps(time_s, hips, LEG_PX))
    hips[35:] += 2 * LEG_PX
    assert find_leaps(time_s, hips, LEG_PX).tolist() == [35]


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=12, unique=True),
    st.integers(0, 2**32 - 1),
)
def test_offsets_hold_at_their_anchors_and_end_at_the_reach(frames, seed):
    anchor_s = np.sort(frames) / 30
    offset = np.random.default_rng(seed).normal(0, 5, (len(frames), 2))
    assert np.allclose(fade_offsets(anchor_s, offset, anchor_s, 0.5), offset, atol=1e-6)
    time_s = np.arange(-60, 400) / 30
    away = np.abs(time_s[:, None] - anchor_s).min(axis=1)
    assert not fade_offsets(anchor_s, offset, time_s, 0.5)[away >= 0.5].any()
