import json

import numpy as np
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.pose.side_swaps import find_swaps


@pytest.fixture(scope="module")
def walk(sample_labels) -> np.ndarray:
    """The walking man of the sample clip, (100, 10, 2) in px."""
    frames = json.loads(sample_labels.read_text())["frames"]
    people = [next(p for p in frame["persons"] if p["id"] == 1) for frame in frames]
    return np.array([p["keypoints"] for p in people])[..., :2]


def leg_length(points: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(points[:, 2] - points[:, 0], axis=-1))) * 2


def swapped(points: np.ndarray, frames: np.ndarray) -> np.ndarray:
    changed = points.copy()
    changed[frames] = changed[frames][:, legs.FLIP_INDEX]
    return changed


def test_a_good_walk_stays_as_it_is(walk):
    assert not find_swaps(walk, leg_length(walk)).any()


@pytest.mark.parametrize(("start", "stop"), [(10, 11), (30, 34), (55, 75), (0, 20), (90, 100)])
def test_stretches_of_exchanged_legs_are_found(walk, start, stop):
    truth = np.zeros(len(walk), bool)
    truth[start:stop] = True
    found = find_swaps(swapped(walk, truth), leg_length(walk))
    assert (found != truth).sum() <= 2


def test_noise_of_a_hundredth_of_a_leg_does_not_confuse_it(walk):
    random = np.random.default_rng(4)
    length = leg_length(walk)
    noisy = walk + random.normal(0, 0.01 * length, walk.shape)
    truth = np.zeros(len(walk), bool)
    truth[40:52] = True
    assert not find_swaps(noisy, length).any()
    assert (find_swaps(swapped(noisy, truth), length) != truth).sum() <= 3


def test_missing_points_and_short_tracks_are_taken(walk):
    holes = walk.copy()
    holes[20:30, 8] = np.nan
    holes[50] = np.nan
    assert not find_swaps(holes, leg_length(walk)).any()
    assert find_swaps(walk[:2], 100.0).tolist() == [False, False]
    assert find_swaps(walk[:0], 100.0).shape == (0,)


def test_the_majority_keeps_its_sides(walk):
    truth = np.ones(len(walk), bool)
    truth[:20] = False
    found = find_swaps(swapped(walk, truth), leg_length(walk))
    assert found[:18].all()
    assert not found[22:].any()
