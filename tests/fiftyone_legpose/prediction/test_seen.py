import numpy as np
import pytest

from fiftyone_legpose.prediction.person_scale import Plan
from fiftyone_legpose.prediction.raw_poses import RawPoses, nobody
from fiftyone_legpose.prediction.seen import SeenSoFar
from tests.fiftyone_legpose.walking import LEG_PX, walk


def people(leg_px: float, count: int = 1) -> RawPoses:
    points = np.repeat(walk(1) * leg_px / LEG_PX, count, axis=0)
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    return RawPoses(boxes, np.full(count, 0.9), points, np.ones((count, 10)))


def test_one_line_says_how_many_how_large_and_how_they_were_followed():
    so_far = SeenSoFar()
    so_far.begin_video(Plan(576, close=True, leg_px=200))
    for _ in range(30):
        so_far.add(people(200, 2), (300, 1600), np.array([1, 2]))
    so_far.begin_video(Plan(288, close=False, leg_px=200))
    for _ in range(10):
        so_far.add(people(200, 1), (300, 1600), np.array([1]))
    so_far.add(people(200, 5), (300, 1600), np.full(5, -1))
    assert so_far.seen().describe() == (
        "Seen: 2 persons at once, legs 200 px long (67% of the picture's height), looked at with "
        "576 px, then closer or 288 px, 23 frames per track."
    )
    assert so_far.seen().warnings() == []


@pytest.mark.parametrize(
    ("leg_px", "height", "said"), [(40, 300, "Film from nearer"), (290, 300, "further away")]
)
def test_people_who_are_too_small_or_too_large_are_told_of(leg_px, height, said):
    so_far = SeenSoFar()
    so_far.add(people(leg_px), (height, 1600))
    [warning] = so_far.seen().warnings()
    assert said in warning


def test_nobody_is_said_too():
    so_far = SeenSoFar()
    so_far.add(nobody(), (300, 400))
    assert so_far.seen().describe() == "Nobody was found."
    [warning] = so_far.seen().warnings()
    assert "conf" in warning
