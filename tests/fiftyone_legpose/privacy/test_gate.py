import numpy as np
import pytest

from cvat_bridge.poses import Pose
from fiftyone_legpose.privacy.gate import CHIN, WAIST, blacken, judge

SIZE = (200, 300)
NO_FACES = np.zeros((0, 5))
LEG = 100.0


def upright(hip_y: float, x: float = 100, leg: float = LEG) -> Pose:
    """Somebody who stands, with the hips at a height, in px."""
    heights = np.repeat([0, 0.5, 1, 1.05, 1.05], 2) * leg
    points = np.column_stack([np.tile([x + 10, x - 10], 5), hip_y + heights])
    return Pose(points, np.full(10, 2))


def hidden_rows(regions: np.ndarray) -> int:
    """Rows from the top that are black over the whole width."""
    return max(
        (y2 for x1, y1, x2, y2 in regions.tolist() if (x1, y1, x2) == (0, 0, 200)), default=0
    )


def test_legs_alone_leave_as_they_are():
    verdict = judge(SIZE, [upright(0.2 * LEG)], NO_FACES)
    assert verdict.reasons == ()
    assert len(verdict.hidden) == 0


def test_nobody_leaves_as_they_are():
    verdict = judge(SIZE, [], NO_FACES)
    assert verdict.reasons == ()
    assert verdict.hidden.shape == (0, 4)


@pytest.mark.parametrize(
    ("leg_lengths", "reasons"), [(CHIN - 0.05, ()), (CHIN + 0.05, ("upper body",))]
)
def test_room_for_a_chin_is_a_reason(leg_lengths, reasons):
    assert judge(SIZE, [upright(leg_lengths * LEG)], NO_FACES).reasons == reasons


def test_hides_everything_above_the_topmost_waist():
    verdict = judge(SIZE, [upright(150), upright(120, x=160)], NO_FACES)
    assert hidden_rows(verdict.hidden) == 120 - WAIST * LEG


def test_hides_the_head_of_somebody_nearer_whose_hips_are_lower():
    far = upright(60, x=30, leg=40)
    near = upright(260, x=150, leg=250)
    verdict = judge(SIZE, [far, near], NO_FACES)
    black = blacken(np.full((300, 200, 3), 255, np.uint8), verdict.hidden)
    chin_y = int(260 - CHIN * 250)
    assert chin_y > hidden_rows(verdict.hidden)
    assert not black[:chin_y, 150].any()
    assert black[chin_y + 5 :, 30].all()


def test_a_face_is_a_reason_and_is_hidden_with_hair_and_chin():
    verdict = judge(SIZE, [upright(10)], np.array([[50.0, 100, 80, 140, 0.9]]))
    assert verdict.reasons == ("face",)
    [(x1, y1, x2, y2)] = verdict.hidden.tolist()
    assert x1 < 50 and y1 < 100 - 20 and x2 > 80 and y2 > 140


def test_a_face_without_a_person_hides_everything_above_its_chin():
    verdict = judge(SIZE, [], np.array([[50.0, 100, 80, 140, 0.9]]))
    assert verdict.reasons == ("face",)
    assert hidden_rows(verdict.hidden) > 140


def test_a_person_without_hips_counts_as_nobody_found():
    legs_below = upright(-40)
    below = Pose(legs_below.points, np.repeat([0, 2], [2, 8]))
    assert judge(SIZE, [below], NO_FACES).reasons == ()
    verdict = judge(SIZE, [below], np.array([[50.0, 100, 80, 140, 0.9]]))
    assert hidden_rows(verdict.hidden) > 140


def test_an_ankle_that_is_cut_off_does_not_open_the_gate():
    person = upright(0.8 * LEG)
    cut = Pose(person.points, np.repeat([2, 0], [4, 6]))
    assert judge(SIZE, [cut], NO_FACES).reasons == ("upper body",)


def test_what_is_black_already_is_no_reason():
    assert judge(SIZE, [upright(80)], NO_FACES, top_px=60).reasons == ()
    assert hidden_rows(judge(SIZE, [upright(80)], NO_FACES, top_px=60).hidden) == 0


def test_regions_end_at_the_picture():
    verdict = judge(SIZE, [], np.array([[-5.0, -5, 210, 320, 0.9]]))
    assert verdict.hidden.min() >= 0
    assert (verdict.hidden[:, 2:] <= SIZE).all()


def test_blackens_a_copy():
    picture = np.full((300, 200, 3), 7, np.uint8)
    copy = blacken(picture, np.array([[0, 0, 200, 10], [50, 20, 60, 30]]))
    assert not copy[:10].any() and not copy[20:30, 50:60].any()
    assert (picture == 7).all() and (copy[10:20] == 7).all()
