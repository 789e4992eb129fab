"""Each signal finds its own fault in a walk, at its frame and place, and nothing in a good walk."""

import numpy as np
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.selection import review_score, signals
from tests.fiftyone_legpose.walking import LEG_PX, SIZE, walk

FRAMES = 150
KNEE = legs.KEYPOINTS.index("left_knee")


def judge(
    points, *, fps=30.0, frame=None, track=None, confidence=0.9, score=0.9, frames=0, time_s=None
):
    count = len(points)
    frame = np.arange(count) if frame is None else np.asarray(frame)
    track = np.ones(count, int) if track is None else np.asarray(track)
    visibility = np.where(np.isnan(points).any(axis=-1), 0, 2)
    frames = frames or int(frame.max()) + 1
    leg = np.full(count, LEG_PX)
    alone = signals.pose_signals(
        frames,
        frame,
        points,
        np.broadcast_to(confidence, points.shape[:2]),
        visibility,
        np.broadcast_to(score, count),
        leg,
    )
    time_s = np.arange(frames) / fps if time_s is None else time_s
    over_time = signals.track_signals(
        frames, frame, track, points, visibility, leg, time_s=time_s, size=SIZE
    )
    return {name: np.maximum(alone[name], over_time[name]) for name in alone}


def strong(strengths, name, at_least=0.3):
    return set(np.flatnonzero(strengths[name].max(axis=1) >= at_least).tolist())


@pytest.mark.parametrize("fps", [10.0, 25.0, 60.0])
def test_a_good_walk_shows_nothing_at_any_frame_rate(fps):
    score, reasons = review_score.combine(judge(walk(int(5 * fps), fps), fps=fps))
    assert score.max() < 0.3
    assert not any(reasons)


def test_a_good_walk_shows_nothing_at_a_varying_frame_rate():
    kept = np.r_[0:150, 150:300:4]
    points, time_s = walk(300, 60.0)[kept], kept / 60
    assert review_score.combine(judge(points, time_s=time_s))[0].max() < 0.3
    points[160, KNEE] += 0.6 * LEG_PX
    assert strong(judge(points, time_s=time_s), "jump") == {160}


@pytest.mark.parametrize("fps", [10.0, 30.0, 60.0])
def test_a_jump_is_found_at_its_frame_and_joint(fps):
    points = walk(FRAMES, fps)
    points[70, KNEE] += 0.6 * LEG_PX
    score, reasons = review_score.combine(judge(points, fps=fps))
    assert score.argmax() == 70
    assert "jump left_knee" in reasons[70]
    assert strong(judge(points, fps=fps), "jump") == {70}


def test_trembling_is_told_from_walking():
    points = walk(FRAMES)
    rng = np.random.default_rng(0)
    points[60:100, KNEE] += rng.normal(0, 0.04 * LEG_PX, (40, 2))
    strengths = judge(points)
    found = strong(strengths, "trembles")
    assert found and found <= set(range(52, 108))
    assert len(found & set(range(60, 100))) > 25
    assert strengths["trembles"].max(axis=0).argmax() == KNEE


def test_legs_that_are_exchanged_for_some_frames_are_found_there():
    points = walk(FRAMES)
    points[80:90] = points[80:90][:, legs.FLIP_INDEX]
    strengths = judge(points)
    found = strong(strengths, "swapped")
    assert set(range(80, 90)) <= found <= set(range(79, 92))
    assert "swapped legs" in review_score.combine(strengths)[1][85]


def test_one_exchanged_pair_is_named():
    points = walk(FRAMES)
    ankles = [legs.KEYPOINTS.index(n) for n in ("left_ankle", "right_ankle")]
    apart = np.linalg.norm(points[:, ankles[0]] - points[:, ankles[1]], axis=-1)
    frame = int(apart.argmax())
    points[frame, ankles] = points[frame, ankles[::-1]]
    strengths = judge(points)
    assert "swapped ankle" in review_score.combine(strengths)[1][frame]
    assert strengths["swapped"][frame, 0] == 0


def test_frames_missing_inside_a_track_are_not_found():
    kept = np.r_[0:50, 53:FRAMES]
    strengths = judge(walk(FRAMES)[kept], frame=kept)
    assert strong(strengths, "not found") == {50, 51, 52}
    assert review_score.combine(strengths)[1][51] == ["not found"]


def test_a_long_absence_counts_less_than_a_short_one():
    kept = np.r_[0:40, 100:FRAMES]
    strengths = judge(walk(FRAMES)[kept], frame=kept)
    assert strengths["not found"][70, 0] == 0.5


def test_a_track_that_ends_in_the_middle_of_the_picture_breaks():
    track = np.repeat([1, 2], [90, 60])
    strengths = judge(walk(FRAMES), track=track)
    assert strong(strengths, "track breaks") == {89, 90}


def test_a_person_who_walks_out_of_the_picture_breaks_nothing():
    points = walk(100)
    points[..., 0] += 1279 - points[99, :, 0].max()
    strengths = judge(points, frames=FRAMES)
    assert strengths["track breaks"].max() == 0


def test_a_shank_that_grows_is_named():
    points = walk(FRAMES)
    shift = (points[75, 4] - points[75, KNEE]) * 0.7
    points[75, [4, 6, 8]] += shift
    strengths = judge(points)
    assert strong(strengths, "length") == {75}
    place = strengths["length"][75].argmax()
    assert signals.PLACES["length"][place] == "left_shank"


def test_coming_nearer_changes_no_length():
    points = walk(FRAMES)
    nearer = np.linspace(0.5, 1.5, FRAMES)[:, None, None]
    centre = points.mean(axis=1, keepdims=True)
    strengths = judge((points - centre) * nearer + centre)
    assert strengths["length"].max() == 0


def test_heel_and_toe_exchanged_is_told_by_side():
    points = walk(FRAMES)
    points[30, [7, 9]] = points[30, [9, 7]]
    strengths = judge(points)
    assert strong(strengths, "heel and toe") == {30}
    assert strengths["heel and toe"][30].argmax() == 1


def test_confidence_is_judged_by_the_worst_point_and_by_the_mean():
    confidence = np.full((FRAMES, 10), 0.9)
    confidence[20, KNEE] = 0.05
    confidence[40] = 0.35
    strengths = judge(walk(FRAMES), confidence=confidence, score=np.linspace(0.9, 0.3, FRAMES))
    reasons = review_score.combine(strengths)[1]
    assert reasons[20] == ["low confidence left_knee"]
    assert "unsure" in reasons[40]
    assert reasons[149] == ["weak box"]


def test_weights_without_confidence_say_nothing_by_it():
    strengths = judge(walk(FRAMES), confidence=np.nan, score=np.nan)
    assert review_score.combine(strengths)[0].max() < 0.3


def test_two_persons_are_judged_by_themselves():
    second = walk(FRAMES) + 5
    second[60, KNEE] += 0.6 * LEG_PX
    points = np.stack([walk(FRAMES), second], axis=1).reshape(-1, 10, 2)
    strengths = judge(points, frame=np.repeat(np.arange(FRAMES), 2), track=np.tile([3, 5], FRAMES))
    assert strong(strengths, "jump") == {60}


def test_points_that_are_cut_off_are_not_judged():
    points = walk(FRAMES)
    points[:, [1, 3]] = np.nan
    score, _ = review_score.combine(judge(points))
    assert score.max() < 0.3


def test_a_single_pose_and_no_pose_at_all_pass():
    assert review_score.combine(judge(walk(1)))[0].max() == 0
    nobody = signals.track_signals(
        5,
        np.array([], int),
        np.array([], int),
        np.empty((0, 10, 2)),
        np.empty((0, 10), int),
        np.empty(0),
        time_s=np.arange(5) * 0.04,
        size=SIZE,
    )
    assert review_score.combine(nobody)[0].tolist() == [0] * 5
