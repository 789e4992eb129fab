"""A clean path is nearer to the truth than what was predicted, and goes through corrections."""

from dataclasses import replace

import numpy as np
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.trajectories.clean import Cleaning, clean_path
from fiftyone_legpose.trajectories.paths import Observed, Source
from tests.fiftyone_legpose.walking import LEG_PX, walk

HOW = Cleaning(None, 5.0, 10.0, 0.25, 0.75, True)
T = 150


def observe(predicted: np.ndarray, fps: float = 30.0) -> Observed:
    count = len(predicted)
    known = ~np.isnan(predicted).any(axis=-1)
    return Observed(
        track=1,
        frame=np.arange(1, count + 1),
        time_s=np.arange(count) / fps,
        predicted=predicted,
        confidence=np.where(known, 0.9, np.nan),
        visibility=np.where(known, 2, 0),
        reviewed=np.zeros(count, bool),
        corrected=np.full_like(predicted, np.nan),
        corrected_visibility=np.zeros((count, 10), int),
        leg_px=LEG_PX,
    )


def correct(seen: Observed, frames: list[int], points: np.ndarray) -> Observed:
    """Let a person set the points of some frames."""
    reviewed, corrected, visibility = (
        array.copy() for array in (seen.reviewed, seen.corrected, seen.corrected_visibility)
    )
    reviewed[frames] = True
    corrected[frames] = points[frames]
    visibility[frames] = 2
    return replace(seen, reviewed=reviewed, corrected=corrected, corrected_visibility=visibility)


def error(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance (T, K) in leg lengths."""
    return np.linalg.norm(points - truth, axis=-1) / LEG_PX


def test_noise_is_lowered_and_a_clean_walk_stays():
    truth = walk(T)
    noise = np.random.default_rng(0).normal(0, 0.02 * LEG_PX, truth.shape)
    noisy = clean_path(observe(truth + noise), HOW)
    assert error(noisy.points, truth)[10:-10].mean() < 0.65 * error(truth + noise, truth).mean()
    assert error(clean_path(observe(truth), HOW).points, truth).mean() < 0.004


def test_jumps_and_short_gaps_are_filled_and_marked():
    truth = walk(T)
    predicted = truth.copy()
    predicted[40, 4] += 0.4 * LEG_PX
    predicted[70:74] = np.nan
    predicted[100:120] = np.nan
    path = clean_path(observe(predicted), HOW)
    filled = np.zeros((T, 10), bool)
    filled[40, 4] = filled[70:74] = True
    assert np.array_equal(path.source == Source.FILLED, filled)
    assert (path.source[100:120] == Source.MISSING).all()
    assert error(path.points, truth)[filled].max() < 0.08
    assert (path.visibility[filled] == 1).all() and not path.confidence[filled].any()
    assert np.isnan(path.points[100:120]).all() and not path.visibility[100:120].any()


def test_exchanged_legs_are_exchanged_back_and_a_correction_knows_the_sides():
    truth = walk(T)
    predicted = truth.copy()
    predicted[50:70] = predicted[50:70][:, legs.FLIP_INDEX]
    path = clean_path(observe(predicted), HOW)
    assert path.exchanged[50:70].all() and path.exchanged.sum() == 20
    assert error(path.points, truth).max() < 0.05
    assert not clean_path(observe(predicted), replace(HOW, repair_sides=False)).exchanged.any()
    # Without corrections the sides of the longer part win; one corrected frame turns that round.
    predicted[20:120] = truth[20:120][:, legs.FLIP_INDEX]
    assert clean_path(observe(predicted), HOW).exchanged[20:120].sum() <= 6
    path = clean_path(correct(observe(predicted), [140], truth), HOW)
    assert abs(path.exchanged[20:120].sum() - 100) <= 2


def test_corrected_points_stay_where_the_person_put_them():
    truth = walk(T)
    predicted = truth + np.random.default_rng(2).normal(0, 0.02 * LEG_PX, truth.shape)
    frames = [0, 30, 31, 32, 80, 149]
    path = clean_path(correct(observe(predicted), frames, truth), HOW)
    assert np.array_equal(path.points[frames], truth[frames])
    assert (path.source[frames] == Source.CORRECTED).all()
    assert (path.source == Source.CORRECTED).sum() == len(frames) * 10


@pytest.mark.parametrize("frames", [[75], list(range(70, 90)), [60, 70], [20, 21, 22, 100]])
def test_a_correction_leaves_no_step(frames):
    truth = walk(T)
    predicted = truth + [0.06 * LEG_PX, 0.02 * LEG_PX]
    before = clean_path(observe(predicted), HOW).points
    after = clean_path(correct(observe(predicted), frames, truth), HOW).points
    own = np.abs(np.diff(before, 2, axis=0)).max(axis=(0, 2))
    bent = np.abs(np.diff(after, 2, axis=0)).max(axis=(0, 2))
    assert (bent <= 2 * own).all()


def test_a_correction_draws_its_neighbours_along_on_a_constant_offset():
    truth = walk(T)
    predicted = truth + [0.1 * LEG_PX, 0.04 * LEG_PX]
    path = clean_path(correct(observe(predicted), [75], truth), HOW)
    near = [*range(70, 75), *range(76, 81)]
    left = error(path.points, truth)[near].mean() / error(predicted, truth)[near].mean()
    assert left < 0.5
    assert np.allclose(error(path.points, truth)[95:], error(predicted, truth)[95:], atol=0.02)


def test_a_correction_of_one_bad_frame_leaves_good_neighbours_alone():
    truth = walk(T)
    predicted = truth.copy()
    predicted[75] += 0.1 * LEG_PX
    path = clean_path(correct(observe(predicted), [75], truth), HOW)
    assert error(path.points, truth).max() < 0.03


def test_corrections_bridge_a_gap_that_is_too_long_to_fill():
    truth = walk(T)
    predicted = truth.copy()
    predicted[70:82] = np.nan
    path = clean_path(correct(observe(predicted), [76], truth), HOW)
    assert (path.source[70:82] != Source.MISSING).all()
    assert error(path.points, truth)[70:82].max() < 0.1


def test_who_sees_nobody_or_no_point_leaves_it_missing():
    seen = correct(observe(walk(T)), [75], np.full((T, 10, 2), np.nan))
    seen = replace(seen, corrected_visibility=np.zeros((T, 10), int))
    path = clean_path(seen, HOW)
    assert (path.source[75] == Source.MISSING).all()
    assert (path.source[74] == Source.PREDICTED).all()


def test_two_people_whose_tracks_change_over_are_not_drawn_together():
    one, other = walk(T), walk(T) + [3 * LEG_PX, 0]
    mixed = np.concatenate([one[:75], other[75:]])
    path = clean_path(observe(mixed), HOW)
    assert error(path.points[:75], one[:75]).max() < 0.05
    assert error(path.points[75:], other[75:]).max() < 0.05
    assert np.isfinite(path.points).all()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_track_of_a_few_frames_stays_as_it_is(count):
    path = clean_path(observe(walk(T)[:count]), HOW)
    assert np.array_equal(path.points, walk(T)[:count])
