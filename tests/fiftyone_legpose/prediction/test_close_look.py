import numpy as np
import pytest

from fiftyone_legpose.prediction.close_look import (
    FRAMES_APART,
    cuttings,
    expected_boxes,
    moved,
    needed_frames,
    take_expected,
    whole_looks,
)
from fiftyone_legpose.prediction.raw_poses import RawPoses, nobody


def people(*rows: tuple[float, float, float, float], score: float = 0.9) -> RawPoses:
    boxes = np.array(rows, float).reshape(-1, 4)
    points = np.linspace(boxes[:, :2], boxes[:, 2:], 10, axis=1)
    return RawPoses(boxes, np.full(len(boxes), score), points, np.ones((len(boxes), 10)))


def test_every_eighth_frame_is_looked_at_as_a_whole_and_so_are_both_ends():
    assert whole_looks(range(1, 21)) == [1, 9, 17, 20]
    assert whole_looks([]) == []
    assert whole_looks([5]) == [5]


def test_no_stretch_spans_a_gap():
    assert whole_looks([1, 2, 3, 40, 41, 42]) == [1, 3, 40, 42]
    assert whole_looks(range(1, 100, 10)) == list(range(1, 100, 10))
    assert whole_looks([1, 4, 7, 10, 13]) == [1, 7, 13]
    for stretch in np.diff(whole_looks([1, 2, 8, 9, 10, 15, 16, 17, 30])):
        assert stretch <= FRAMES_APART or stretch in (13,)


def test_what_is_left_needs_the_whole_looks_around_it():
    numbers = list(range(1, 21))
    assert needed_frames(numbers, numbers) == numbers
    assert needed_frames(numbers, [11, 12]) == [9, 11, 12, 17]
    assert needed_frames(numbers, [9]) == [9]
    assert needed_frames(numbers, [18, 19, 20]) == [17, 18, 19, 20]


def test_people_are_expected_on_the_way_between_two_looks():
    before = people((100, 0, 150, 100), (500, 0, 550, 100))
    after = people((470, 0, 520, 100), (140, 0, 190, 100))
    boxes, sure = expected_boxes(before, after, 0.25)
    assert boxes.tolist() == [[110, 0, 160, 100], [492.5, 0, 542.5, 100]]
    assert sure.all()


@pytest.mark.parametrize("turned", [False, True])
def test_who_comes_or_goes_is_worth_a_look_at_the_whole_frame(turned):
    one = people((100, 0, 150, 100))
    two = people((100, 0, 150, 100), (500, 0, 550, 100))
    before, after = (two, one) if turned else (one, two)
    assert expected_boxes(before, after, 0.5) is None
    assert expected_boxes(people((0, 0, 50, 100)), people((900, 0, 950, 100)), 0.5) is None


def test_somebody_hardly_there_is_expected_near_where_they_were_seen():
    before, after = people((100, 0, 150, 100), score=0.3), nobody()
    for share, count in ((0.25, 1), (0.75, 0)):
        boxes, sure = expected_boxes(before, after, share)
        assert (len(boxes), sure.any()) == (count, False)
        boxes, _ = expected_boxes(after, before, share)
        assert len(boxes) == 1 - count


def test_a_cutting_has_room_and_ends_at_the_border():
    boxes = np.array([[100, 100, 150, 200], [0, 0, 40, 100], [-9, 5, -5, 6]], float)
    inside, corner, outside = cuttings(boxes, (300, 400)).tolist()
    assert inside == [50, 75, 200, 225]
    assert corner == [0, 0, 95, 125]
    assert outside[2] - outside[0] >= 2


def test_the_person_in_the_middle_of_a_cutting_is_taken_and_nobody_twice():
    one, other = (100, 0, 200, 200), (180, 0, 280, 200)
    expected = np.array([one, other], float)
    seen = [people(one, other), people((181, 1, 281, 201), (101, 0, 201, 200), score=0.8)]
    raw, missing = take_expected(seen, expected)
    assert not missing.any()
    assert raw.boxes.tolist() == [list(one), [181, 1, 281, 201]]
    # The second cutting shows the first person alone, who is taken already.
    raw, missing = take_expected([people(one), people(one)], expected)
    assert (raw.boxes.tolist(), missing.tolist()) == ([list(one)], [False, True])
    raw, missing = take_expected([nobody(), nobody()], expected)
    assert (len(raw.scores), missing.all()) == (0, True)
    assert take_expected([], np.zeros((0, 4)))[0].points.shape == (0, 10, 2)


def test_what_was_found_in_a_cutting_is_moved_to_where_it_was_cut():
    raw = moved(people((0, 0, 10, 10)), np.array([30, 40]))
    assert raw.boxes.tolist() == [[30, 40, 40, 50]]
    assert raw.points[0, 0].tolist() == [30, 40]
