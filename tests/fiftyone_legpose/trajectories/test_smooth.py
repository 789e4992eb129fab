"""smooth on datasets: what it writes, where it refuses, and that it leaves the rest alone."""

import fiftyone as fo
import numpy as np
import pytest

import fiftyone_legpose as lp
from cvat_bridge.poses import Pose
from fiftyone_legpose.dataset import keypoint_labels
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.trajectories import smooth as smooth_module
from fiftyone_legpose.trajectories.path_labels import read_paths
from fiftyone_legpose.trajectories.paths import Source
from tests.fiftyone_legpose.walking import LEG_PX, SIZE, walk

FRAMES = 40


@pytest.fixture
def videos(dataset_name) -> fo.Dataset:
    """Two persons walk towards each other in video a, one in b, and c shows nobody."""
    dataset = fo.Dataset(dataset_name, media_type="video")
    for field in ("legpose", "ground_truth"):
        keypoint_labels.declare(dataset, field)
    metadata = fo.VideoMetadata(frame_width=SIZE[0], frame_height=SIZE[1], frame_rate=25.0)
    to_the_right = walk(FRAMES, 25.0)
    to_the_left = to_the_right * [-1, 1] + [SIZE[0], 0]
    for name, people in (("a", [to_the_right, to_the_left]), ("b", [to_the_right]), ("c", [])):
        sample = fo.Sample(filepath=f"/ward/{name}.mp4", metadata=metadata)
        for i in range(FRAMES):
            guesses = [
                Pose(path[i], np.full(10, 2), np.full(10, 0.75), track_id=k + 1)
                for k, path in enumerate(people)
            ]
            sample.frames[i + 1] = fo.Frame(legpose=keypoint_labels.to_keypoints(guesses, SIZE))
        dataset.add_sample(sample)
    return dataset


def stored(dataset: fo.Dataset, field: str) -> list:
    """What a field holds, without the ids."""
    rows = dataset.values(
        [f"frames.{field}.keypoints.{n}" for n in ("points", "index", "source", "visible")]
        if field == "legpose_smooth"
        else [f"frames.{field}.keypoints.{n}" for n in ("id", "points", "index", "visible")]
    )
    return [str(row) for row in rows]


def test_every_person_gets_a_path_and_nothing_else_changes(videos):
    before = stored(videos, "legpose")
    summary = lp.smooth(videos)
    assert (summary.videos, summary.empty, summary.people) == (2, 1, 3)
    assert summary.points == {"predicted": 3 * FRAMES * 10}
    assert stored(videos, "legpose") == before
    paths, made_by = read_paths(videos[:1], "legpose_smooth")
    assert made_by == {summary.run_key} and [path.track for path in paths] == [1, 2]
    off = np.linalg.norm(paths[0].points - walk(FRAMES, 25.0), axis=-1)
    assert off.mean() < 0.01 * LEG_PX
    assert (paths[0].confidence == 0.75).all() and (paths[0].visibility == 2).all()
    # Crossing in the middle of the picture they stay themselves.
    hips = [path.points[:, :2, 0].mean(axis=1) for path in paths]
    assert (np.diff(hips[0]) > 0).all() and (np.diff(hips[1]) < 0).all()
    # Looked at, with nobody there: an empty label, not none.
    assert videos.last().frames[1]["legpose_smooth"].keypoints == []


def test_twice_is_the_same_and_new_corrections_count(videos):
    lp.smooth(videos)
    once = stored(videos, "legpose_smooth")
    lp.smooth(videos)
    assert stored(videos, "legpose_smooth") == once
    sample = videos.first()
    moved = walk(FRAMES, 25.0)[19] + 12
    sample.frames[20]["ground_truth"] = keypoint_labels.to_keypoints(
        [Pose(moved, np.full(10, 2), track_id=1)], SIZE
    )
    sample.save()
    summary = lp.smooth(videos)
    assert summary.points["corrected"] == 10
    paths, _ = read_paths(videos[:1], "legpose_smooth")
    assert np.allclose(paths[0].points[19], moved)
    assert (paths[0].source[19] == Source.CORRECTED).all()
    # The reviewer saw one person only: the other is not on that frame.
    assert 20 not in paths[1].frame and len(paths[1].frame) == FRAMES - 1


def test_a_view_is_written_alone_but_smoothed_as_a_whole(videos):
    lp.smooth(videos)
    whole = videos.first().frames[20]["legpose_smooth"].keypoints[0].points
    videos.clear_frame_field("legpose_smooth")
    view = videos[:1].match_frames(fo.ViewField("frame_number") == 20)
    lp.smooth(view)
    assert videos.count("frames.legpose_smooth") == 1
    assert videos.first().frames[20]["legpose_smooth"].keypoints[0].points == whole


def test_people_without_tracks_are_one_path_or_copied(videos):
    untracked = [
        [[None] * len(frame) for frame in rows]
        for rows in videos.values("frames.legpose.keypoints.index")
    ]
    videos.set_values("frames.legpose.keypoints.index", untracked)
    summary = lp.smooth(videos)
    assert (summary.videos, summary.people) == (1, 1)
    assert videos[:1].count("frames.legpose_smooth.keypoints") == 2 * FRAMES
    [path], _ = read_paths(videos[1:2], "legpose_smooth")
    assert len(path.frame) == FRAMES


def test_corrections_alone_are_enough(videos):
    videos.clone_frame_field("legpose", "seen")
    summary = lp.smooth(videos, field="none", gt_field="seen")
    assert summary.points == {"corrected": 3 * FRAMES * 10}


def test_frames_that_nobody_looked_at_stay_without_a_path(videos):
    video = videos[1:2]
    values = [
        [label if i % 2 == 0 else None for i, label in enumerate(row)]
        for row in video.values("frames.legpose")
    ]
    video.set_values("frames.legpose", values)
    summary = lp.smooth(video)
    assert summary.points == {"predicted": FRAMES // 2 * 10}
    assert video.first().frames[2]["legpose_smooth"] is None


def test_paths_go_by_the_clock_of_the_video(videos):
    own = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, FRAMES))
    videos.set_values("frames.time_s", [own.tolist(), [None] * FRAMES, [None] * FRAMES])
    lp.smooth(videos)
    assert np.array_equal(read_paths(videos[:1], "legpose_smooth")[0][0].time_s, own)
    counted = read_paths(videos[1:2], "legpose_smooth")[0][0].time_s
    assert np.allclose(counted, np.arange(FRAMES) / 25)


def test_an_interrupted_call_is_finished_by_the_next(videos, monkeypatch):
    lp.smooth(videos, cutoff_hz=8.0)
    read = smooth_module.read_observed
    calls = []

    def interrupt(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(*args)

    monkeypatch.setattr(smooth_module, "read_observed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lp.smooth(videos)
    keys = [read_paths(videos.select(i), "legpose_smooth")[1] for i in videos.values("id")]
    assert keys[0] != keys[1]
    monkeypatch.undo()
    summary = lp.smooth(videos)
    assert set(videos.distinct("frames.legpose_smooth.made_by")) == {summary.run_key}


def test_images_are_refused(dataset_name):
    dataset = fo.Dataset(dataset_name)
    dataset.add_sample(fo.Sample("/x/1.jpg"))
    with pytest.raises(DatasetError, match="these are images: load the videos"):
        lp.smooth(dataset)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"field": "none", "gt_field": "none"}, "run predict first"),
        ({"cutoff_hz": 0}, "cutoff_hz is 0"),
        ({"reach_s": 0}, "reach_s is 0"),
        ({"max_gap_s": -1}, "max_gap_s is -1"),
        ({"lowest_cutoff_hz": 12}, "exchange them"),
        ({"label_field": "ground_truth"}, "cannot hold clean paths"),
        ({"label_field": "legpose"}, "cannot hold clean paths"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(videos, options, reason):
    with pytest.raises(DatasetError, match=reason):
        lp.smooth(videos, **options)
    assert not videos.has_frame_field("legpose_smooth")
