import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvat_bridge.errors import PayloadError, PoseError
from cvat_bridge.payloads import check_annotations
from cvat_bridge.poses import Pose
from cvat_bridge.shapes import from_annotations, from_jobs, to_shape, to_track
from cvat_bridge.skeleton import Skeleton, SkeletonLabel

NAMES = ("hip", "knee", "foot")
LABEL = SkeletonLabel(
    7, Skeleton("limb", NAMES, ((0, 1), (1, 2)), ((50, 0), (50, 50), (50, 100))), (8, 9, 10)
)


def pose(*rows, **more):
    """Pose from (x, y, visibility) rows."""
    table = np.array(rows, dtype=float)
    return Pose(table[:, :2], table[:, 2], **more)


@st.composite
def poses(draw, count=3):
    number = st.floats(-1e5, 1e5)
    rows = []
    for _ in range(count):
        seen = draw(st.sampled_from((0, 1, 2)))
        place = number if seen else number | st.just(np.nan)
        rows.append((draw(place), draw(place), seen))
    return pose(*rows, track_id=draw(st.none() | st.integers(0, 50)))


def returned(payload, shuffle=None):
    """What a server makes of a payload: JSON, ids, elements in any order, unknown fields."""
    stored = json.loads(json.dumps(payload, allow_nan=False))
    for number, item in enumerate([*stored.get("shapes", []), *stored.get("tracks", [])]):
        item |= {"id": number, "view_id": None, "needs_review": False}
        if shuffle:
            item["elements"] = item["elements"][::-1]
    return stored


@given(st.lists(st.tuples(st.integers(0, 4), poses()), max_size=6), st.booleans())
def test_poses_survive_shapes_exactly(placed, shuffle):
    sent = {"shapes": [to_shape(one, frame, LABEL) for frame, one in placed]}
    check_annotations(sent, LABEL, frame_count=5)
    read = from_annotations(returned(sent, shuffle), LABEL, frame_count=5)
    expected = {}
    for frame, one in placed:
        expected.setdefault(frame, []).append(one)
    assert read == expected
    for frame, frame_poses in expected.items():
        assert [p.track_id for p in read[frame]] == [p.track_id for p in frame_poses]


@given(st.dictionaries(st.integers(0, 6), poses(), min_size=1))
def test_poses_survive_tracks(by_frame):
    sent = {"tracks": [to_track(by_frame, LABEL, frame_count=7)]}
    check_annotations(sent, LABEL, frame_count=7)
    read = from_annotations(returned(sent), LABEL, frame_count=7)
    expected = {f: [p] for f, p in by_frame.items() if p.visibility.any()}
    assert read == dict(sorted(expected.items()))


def test_flags_follow_visibility():
    shape = to_shape(pose((1, 2, 2), (3, 4, 1), (5, 6, 0), track_id=0), 3, LABEL)
    flags = [(e["outside"], e["occluded"], e["points"]) for e in shape["elements"]]
    assert flags == [(False, False, [1, 2]), (False, True, [3, 4]), (True, False, [5, 6])]
    assert {e["frame"] for e in shape["elements"]} == {3}
    assert (shape["source"], shape["group"], shape["points"]) == ("auto", 1, [])
    assert (shape["outside"], shape["occluded"]) == (False, False)


def test_a_missing_point_stands_where_the_drawing_has_it():
    shape = to_shape(pose((200, 100, 2), (200, 200, 1), (np.nan, np.nan, 0)), 0, LABEL)
    assert shape["elements"][2]["points"] == pytest.approx([200, 300])
    assert shape["elements"][2]["outside"]


UNKNOWN = (np.nan, np.nan, 0)


@pytest.mark.parametrize("rows", [[(5, 5, 2), UNKNOWN, UNKNOWN], [UNKNOWN] * 3])
def test_missing_points_are_finite_even_with_nothing_to_go_by(rows):
    payload = {"shapes": [to_shape(pose(*rows), 0, LABEL)]}
    check_annotations(payload, LABEL, frame_count=1)


def test_absent_elements_and_other_labels():
    shape = to_shape(pose((1, 2, 2), (3, 4, 2), (5, 6, 2)), 0, LABEL)
    del shape["elements"][1]
    box = {"type": "rectangle", "frame": 0, "label_id": 99, "points": [0, 0, 1, 1]}
    other = shape | {"label_id": 98}
    read = from_annotations({"shapes": [shape, box, other]}, LABEL, frame_count=1)
    assert read == {0: [pose((1, 2, 2), (np.nan, np.nan, 0), (5, 6, 2))]}


def test_a_recorded_track_is_interpolated_as_the_server_exported_it(recordings):
    answer = json.loads(next(recordings.glob("139_*")).read_text())["exchanges"][0]
    label_file = json.loads(next(recordings.glob("007_*")).read_text())["exchanges"][0]
    label = SkeletonLabel.from_server(label_file["response_body"]["json"]["results"][0])
    read = from_annotations(answer["response_body"]["json"], label, frame_count=20)
    assert sorted(read) == list(range(20))
    shape, track = read[5]
    assert shape.points[0].tolist() == [374, 102]
    # From exports/video_yolo_pose_noimg.zip, frames 5, 10 and 11 (640 x 480).
    assert track.points[[0, 9]] * (1 / 640, 1 / 480) == pytest.approx(
        np.array([[0.396875, 0.2125], [0.286109, 0.85152]]), abs=2e-5
    )
    assert track.visibility.tolist() == [2] * 10
    assert read[10][0].visibility.tolist() == [2, 2, 1, 2, 2, 2, 2, 2, 2, 0]
    assert read[11][0].points[9] * (1 / 640, 1 / 480) == pytest.approx(
        [0.342359, 0.864021], abs=2e-5
    )
    assert {p.track_id for frames in read.values() for p in frames} == {None, 0}


def test_a_person_brought_back_on_its_track_is_there_once():
    nothing = pose(*[(np.nan, np.nan, 0)] * 3, track_id=4)
    person = pose((1, 1, 2), (2, 2, 2), (3, 3, 2), track_id=4)
    drawn = {
        "shapes": [to_shape(nothing, 1, LABEL), to_shape(nothing, 2, LABEL)],
        "tracks": [to_track({0: person, 1: person}, LABEL, frame_count=3)],
    }
    read = from_annotations(drawn, LABEL, frame_count=3)
    assert read == {0: [person], 1: [person], 2: [nothing]}


def test_tracks_end_at_the_task_and_skip_deleted_frames():
    track = to_track({1: pose((1, 1, 2), (2, 2, 2), (3, 3, 2))}, LABEL, frame_count=2)
    read = from_annotations({"tracks": [track]}, LABEL, frame_count=4, skip_frames=[2])
    assert sorted(read) == [1, 3]
    assert sorted(from_annotations({"tracks": [track]}, LABEL, frame_count=1)) == []


def test_tracks_without_a_group_get_numbers_of_their_own():
    one = {0: pose((1, 1, 2), (2, 2, 2), (3, 3, 2), track_id=4)}
    tracks = [to_track(one, LABEL, frame_count=1) for _ in range(3)]
    tracks[1]["group"] = tracks[2]["group"] = 0
    read = from_annotations({"tracks": tracks}, LABEL, frame_count=1)
    assert [p.track_id for p in read[0]] == [4, 5, 6]


def test_jobs_that_overlap_hold_a_frame_once_and_tracks_of_their_own():
    def drawn(x, frame):
        person = pose((x, 1, 2), (2, 2, 2), (3, 3, 2))
        return to_track({frame: person}, LABEL, frame_count=frame + 1)

    # The first job's track goes on behind its end, as it does in the table of a server.
    jobs = [(range(2), {"tracks": [drawn(10, 0)]}), (range(1, 4), {"tracks": [drawn(20, 1)]})]
    read = from_jobs(jobs, LABEL, skip_frames=[3], new_tracks_from=5)
    assert {frame: [p.points[0, 0] for p in people] for frame, people in read.items()} == {
        0: [10],
        1: [10],
        2: [20],
    }
    assert [people[0].track_id for people in read.values()] == [5, 5, 6]
    assert from_jobs([(range(2), {}), jobs[1]], LABEL)[1][0].points[0, 0] == 20


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (([[1, 2, 3]], [2]), r"shape \(K, 2\)"),
        (([[1, 2]], [2, 2]), r"shape \(1,\)"),
        (([[1, 2]], [3]), "0, 1 and 2"),
        (([[1, 2]], [0.5]), "0, 1 and 2"),
        (([[1, 2], [3, 4]], [True, False]), "use 0 absent, 1 occluded, 2 visible"),
        (([[1, 2], [3, 4]], np.array([True, True])), "use 0 absent, 1 occluded, 2 visible"),
        (([[1, np.nan]], [1]), "Point 0"),
        (([[1, np.inf]], [2]), "Point 0"),
        (([["a", 2]], [2]), "array of numbers"),
        (([[1, 2]], [2], [0.1, 0.2]), "confidence"),
        (([[1, 2]], [2], None, None, -1), "counts from 0"),
        (([[1, 2]], [2], None, None, 1.5), "whole number from 0, not 1.5"),
        (([[1, 2]], [2], None, None, "1"), "whole number from 0, not '1'"),
    ],
)
def test_arrays_that_are_no_pose_are_refused(arguments, told):
    with pytest.raises(PoseError, match=told):
        Pose(*arguments)


def test_a_pose_does_not_change_with_its_source():
    points = np.zeros((3, 2))
    one = Pose(points, [2, 2, 2])
    points += 1
    assert one.points.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        one.points[0] = 1


def test_equality_is_visibility_and_seen_points():
    one = pose((1, 2, 2), (3, 4, 0), (5, 6, 1))
    assert one == pose((1, 2, 2), (np.nan, np.nan, 0), (5, 6, 1), track_id=3)
    assert one != pose((1, 2, 1), (3, 4, 0), (5, 6, 1))
    assert one != pose((1, 2.01, 2), (3, 4, 0), (5, 6, 1))
    assert one.matches(pose((1, 2.01, 2), (3, 4, 0), (5, 6, 1)), within_px=0.011)


def test_a_pose_of_another_size_is_refused():
    with pytest.raises(PayloadError, match="Frame 4: a pose has 2 points"):
        to_shape(pose((1, 2, 2), (3, 4, 2)), 4, LABEL)


def shape_with(path, value):
    shape = to_shape(pose((1, 2, 2), (3, 4, 2), (5, 6, 2)), 1, LABEL)
    return {"shapes": [changed(shape, path, value)]}


def track_with(path, value):
    poses = {1: pose((1, 2, 2), (3, 4, 2), (5, 6, 2)), 2: pose((1, 2, 2), (3, 4, 2), (5, 6, 2))}
    return {"tracks": [changed(to_track(poses, LABEL, frame_count=4), path, value)]}


def changed(item, path, value):
    *way, last = path
    place = item
    for key in way:
        place = place[key]
    place[last] = value
    return item


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (shape_with(["elements", 1, "frame"], 2), "Frame 1, knee: the point stands on frame 2"),
        (shape_with(["elements", 1, "points"], [1.0, np.nan]), "Frame 1, knee: the coordinates"),
        (shape_with(["elements", 2, "points"], [np.inf, 1.0]), "Frame 1, foot: the coordinates"),
        (shape_with(["elements", 1, "points"], [1.0, None]), "Frame 1, knee: the coordinates"),
        (shape_with(["elements", 1, "points"], [1.0]), "Frame 1, knee: a keypoint is one point"),
        (shape_with(["elements", 1, "points"], [1.0] * 4), "Frame 1, knee: a keypoint is one"),
        (shape_with(["frame"], 99), "Frame 99: the task has the frames 0 to 3"),
        (shape_with(["frame"], -1), "Frame -1: the task has"),
        (shape_with(["elements", 1, "label_id"], 8), "Frame 1: hip is there twice"),
        (shape_with(["elements", 1, "label_id"], 7), "Frame 1: a point's label is 7, the skeleton"),
        (shape_with(["elements", 1, "label_id"], 5), "Frame 1: a point's label is 5, unknown"),
        (shape_with(["label_id"], 9), "Frame 1: a skeleton's label is 9, the label of .* knee"),
        (shape_with(["label_id"], 5), "Frame 1: a skeleton's label is 5, no label"),
        (shape_with(["points"], [1.0, 2.0]), "Frame 1: a skeleton has points of its own"),
        (shape_with(["elements"], []), "Frame 1: a skeleton has no points"),
        (shape_with(["type"], "points"), "Frame 1: a shape is a 'points'"),
        (track_with(["frame"], 9), "Track from frame 9: the task has"),
        (track_with(["shapes", 0, "frame"], 2), "keyframe 2 is there twice"),
        (track_with(["elements", 1, "frame"], 2), "knee: .*"),
        (track_with(["elements", 1, "shapes", 1, "frame"], 7), "knee, keyframe 7"),
        (track_with(["elements", 1, "shapes", 1, "points"], [np.nan, 1]), "frame 2, knee: the coo"),
        (track_with(["elements", 0, "shapes"], []), "hip: there is no keyframe"),
    ],
)
def test_what_destroys_a_task_is_refused_by_frame_and_point(payload, told):
    with pytest.raises(PayloadError, match=told):
        check_annotations(payload, LABEL, frame_count=4)
