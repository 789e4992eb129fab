import numpy as np
import pytest

from fiftyone_legpose.prediction.person_scale import (
    Plan,
    large_enough,
    look_sizes,
    plan_looks,
    probe_numbers,
)
from fiftyone_legpose.prediction.raw_poses import RawPoses, nobody
from tests.fiftyone_legpose.walking import LEG_PX, walk


def people(leg_px: float, score: float = 0.9, count: int = 1) -> RawPoses:
    points = np.repeat(walk(1) * leg_px / LEG_PX, count, axis=0)
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    return RawPoses(boxes, np.full(count, score), points, np.ones((count, 10)))


@pytest.mark.parametrize(
    ("frame_px", "sizes"), [(1768, [288, 576, 1152]), (480, [288, 576]), (200, [288])]
)
def test_a_picture_is_enlarged_twice_at_most(frame_px, sizes):
    assert look_sizes(288, frame_px) == sizes


def test_few_frames_all_over_a_video_tell():
    assert probe_numbers(1) == [1]
    assert probe_numbers(100) == [13, 38, 63, 88]
    assert len(probe_numbers(10_000)) == 8


def test_one_look_is_enough_for_large_people():
    assert plan_looks({288: [people(300)]}, 288, 640) == Plan(288, close=False, leg_px=300)
    assert large_enough(people(300), 640)
    assert not large_enough(nobody(), 640)


def test_small_people_are_looked_for_at_the_smallest_size_that_finds_them_as_well():
    seen = {288: [people(190, 0.4)], 576: [people(195, 0.8)], 1152: [people(190, 0.85)]}
    assert plan_looks(seen, 288, 1768) == Plan(576, close=True, leg_px=195)
    seen[576] = [people(195, 0.7)]
    assert plan_looks(seen, 288, 1768).look_px == 1152


def test_large_people_who_are_found_at_a_larger_size_alone_need_one_look_of_the_trained_one():
    seen = {288: [nobody()], 576: [people(600)]}
    assert plan_looks(seen, 288, 1000) == Plan(288, close=False, leg_px=600)


def test_where_nobody_is_found_people_are_looked_for_at_the_largest_size():
    seen = {size: [nobody()] for size in (288, 576)}
    assert plan_looks(seen, 288, 640) == Plan(576, close=True, leg_px=None)
