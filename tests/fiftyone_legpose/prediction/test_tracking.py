import numpy as np

from fiftyone_legpose.prediction.tracking import PersonTracker


def box_at(frame: int) -> np.ndarray:
    """Give the box of somebody who walks by 10 px a frame."""
    left = 100 + 10 * frame
    return np.array([[left, 100, left + 80, 400.0]])


def test_a_person_is_found_where_a_pause_has_taken_her():
    tracker, score = PersonTracker(), np.array([0.9])
    before = [tracker.update(box_at(frame), score)[0] for frame in range(20)]
    assert set(before) == {1}
    assert tracker.update(box_at(34), score, steps=15).tolist() == [1]
    assert tracker.update(box_at(35), score).tolist() == [1]
