import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvat_bridge.poses import Pose
from fiftyone_legpose.exports.waist import HOLD_S, waist_line

HEIGHT, RATE, LEG = 400, 20.0, 100.0


def person(hip_y: float, track: int | None = 1) -> Pose:
    heights = np.repeat([0, 0.5, 1, 1.05, 1.05], 2) * LEG
    points = np.column_stack([np.tile([60, 40], 5), hip_y + heights])
    return Pose(points, np.full(10, 2), track_id=track)


def test_cuts_a_margin_above_the_hips():
    line = waist_line([[person(200)]] * 10, HEIGHT, RATE, margin=0.15)
    assert (line == 185).all()


def test_is_black_where_nobody_is_known():
    line = waist_line([[] for _ in range(5)], HEIGHT, RATE)
    assert (line == HEIGHT).all()
    walk = [[] for _ in range(40)] + [[person(200)]] * 40
    line = waist_line(walk, HEIGHT, RATE)
    held = round(HOLD_S * RATE)
    assert (line[: 40 - held] == HEIGHT).all() and (line[40 - held :] < HEIGHT).all()


def test_fills_the_gaps_of_a_track():
    seen = [[person(200 + i)] if i % 7 == 0 else [] for i in range(43)]
    line = waist_line(seen, HEIGHT, RATE, margin=0)
    assert (line >= 200 + np.arange(43)).all()
    assert (line < HEIGHT).all()


def test_the_lowest_of_several_people_decides():
    line = waist_line([[person(120, 1), person(250, 2)]] * 5, HEIGHT, RATE, margin=0)
    assert (line == 250).all()


def test_somebody_lost_for_a_moment_does_not_raise_the_line():
    frames = [[person(120, 1), *([person(250, 2)] if i != 10 else [])] for i in range(20)]
    assert (waist_line(frames, HEIGHT, RATE, margin=0) == 250).all()


def test_a_person_without_hips_says_nothing():
    legs = person(100)
    below = Pose(legs.points, np.repeat([0, 2], [2, 8]), track_id=1)
    assert (waist_line([[below]] * 3, HEIGHT, RATE) == HEIGHT).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, HEIGHT), min_size=1, max_size=60), st.sampled_from([None, 1]))
def test_never_lies_above_anybody(hips, track):
    line = waist_line([[person(y, track)] for y in hips], HEIGHT, RATE, margin=0)
    assert (line >= np.minimum(np.ceil(hips), HEIGHT)).all()


@pytest.mark.parametrize("rate", [5.0, 25.0, 120.0])
def test_moves_smoothly(rate):
    rng = np.random.default_rng(0)
    hips = 200 + rng.normal(0, 5, 100)
    line = waist_line([[person(y)] for y in hips], HEIGHT, rate, margin=0)
    assert np.abs(np.diff(line)).max() <= np.abs(np.diff(hips)).max()
