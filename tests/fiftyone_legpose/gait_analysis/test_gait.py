"""gait on datasets: timeline, parameters, edits, and where it refuses."""

import fiftyone as fo
import numpy as np
import pytest

import fiftyone_legpose as lp
from cvat_bridge.poses import Pose
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.errors import DatasetError
from tests.fiftyone_legpose.gait_analysis.drawn import LEG_M, SIZE, film, walk


def add_video(dataset: fo.Dataset, name: str, people: list[np.ndarray], **values) -> None:
    metadata = fo.VideoMetadata(frame_width=SIZE[0], frame_height=SIZE[1], frame_rate=30.0)
    sample = fo.Sample(filepath=f"/ward/{name}.mp4", metadata=metadata, **values)
    for i in range(max(map(len, people), default=5)):
        found = [
            Pose(path[i], np.full(10, 2), np.full(10, 0.8), track_id=k + 1)
            for k, path in enumerate(people)
            if i < len(path)
        ]
        sample.frames[i + 1] = fo.Frame(legpose=keypoint_labels.to_keypoints(found, SIZE))
    dataset.add_sample(sample)


@pytest.fixture
def walked():
    return walk(seconds=5)


@pytest.fixture
def videos(dataset_name, walked) -> fo.Dataset:
    """Somebody walks, two people cross, nobody is there."""
    dataset = fo.Dataset(dataset_name, media_type="video")
    keypoint_labels.declare(dataset, "legpose")
    add_video(dataset, "one", [film(walked, 90)], subject="P01")
    other = film(walk("shuffling", seconds=5, seed=1), 270)
    add_video(dataset, "two", [film(walked, 90), other], subject="P02")
    add_video(dataset, "none", [], subject="P01")
    lp.smooth(dataset)
    return dataset


def phases(dataset: fo.Dataset) -> list:
    return [
        (label.label, tuple(label.support), label.edited, label.start_s)
        for label in dataset.first()[fields.EVENTS].detections
        if label.has_field("found")
    ]


def test_phases_parameters_and_details_are_written(videos, walked, tmp_path):
    table = tmp_path / "subjects.csv"
    table.write_text(f"subject,leg_length_m\nP01,{LEG_M}\n")
    summary = lp.gait(videos, subjects=table)
    assert (summary.videos, summary.without_walking, summary.bouts) == (2, 1, 3)
    sample = videos.first()
    told = sample[fields.GAIT]
    assert told.cadence_spm == pytest.approx(120 / 1.1, abs=1)
    assert told.speed_m_s == pytest.approx(walked.speed_m_s, rel=0.06)
    assert (told.view, told.surface, told.bouts) == ("side", "overground", 1)
    shown = phases(videos)
    assert {name for name, *_ in shown} == {
        f"{phase} {side}" for phase in ("stance", "swing") for side in ("left", "right")
    }
    stance = [support for name, support, *_ in shown if name == "stance left"]
    swing = [support for name, support, *_ in shown if name == "swing left"]
    assert all(any(a[1] + 1 == b[0] for b in swing) for a in stance[:-1])
    # Of P02 no segment was measured.
    two = videos.skip(1).first()
    assert two[fields.GAIT].speed_m_s is None and two[fields.GAIT].speed_leg_s > 0
    assert len(two[fields.GAIT_DETAILS]["people"]) == 2
    cycle = sample[fields.GAIT_DETAILS]["people"][0]["bouts"][0]["cycles"]["left"]
    assert len(cycle["knee_flexion_deg"]["mean"]) == 101
    empty = videos.last()
    assert empty[fields.GAIT].strides == 0 and empty[fields.GAIT].cadence_spm is None
    assert videos.match(fo.ViewField(f"{fields.GAIT}.cadence_spm") > 100).count() == 2


def test_two_people_who_cross_keep_their_own_gait(videos):
    lp.gait(videos)
    people = videos.skip(1).first()[fields.GAIT_DETAILS]["people"]
    cadence = [person["bouts"][0]["parameters"]["cadence_spm"] for person in people]
    assert cadence[0] == pytest.approx(120 / 1.1, abs=2)
    assert cadence[1] == pytest.approx(120 / 1.0, abs=2)


def test_twice_is_the_same(videos):
    lp.gait(videos)
    once = (phases(videos), videos.values(fields.GAIT_DETAILS), videos.list_runs())
    lp.gait(videos)
    assert (phases(videos), videos.values(fields.GAIT_DETAILS), videos.list_runs()) == once


def test_edited_events_win_and_survive_every_later_call(videos):
    lp.gait(videos)
    sample = videos.first()
    labels = sample[fields.EVENTS].detections
    moved = next(label for label in labels if label.label == "stance left")
    was = list(moved.support)
    moved.support = [was[0] + 3, was[1]]
    gone = [label for label in labels if label.label.endswith("right")][-1]
    end_s = gone.end_s
    labels.remove(gone)
    labels.append(fo.TemporalDetection(label="stance left", support=[146, 149]))
    labels.append(fo.TemporalDetection(label="somebody's own remark", support=[1, 2]))
    sample.save()
    for _ in range(3):
        summary = lp.gait(videos)
        shown = phases(videos)
        starts = {support[0]: edited for name, support, edited, _ in shown if name == "stance left"}
        assert starts[was[0] + 3] is True and was[0] not in starts
        assert 146 in starts
        own = videos.first()[fields.EVENTS].detections
        assert max(x.end_s for x in own if x.label.endswith("right")) < end_s - 0.1
        assert summary.edited_events >= 1
    events = videos.first()[fields.GAIT_DETAILS]["people"][0]["bouts"][0]["events"]
    edited = [event for event in events if event["edited"]]
    assert (edited[0]["time_s"], edited[0]["method"]) == (
        pytest.approx((was[0] + 2) / 30, abs=1e-4),
        "edited",
    )


def test_a_remark_of_somebody_stays_on_the_timeline(videos):
    lp.gait(videos)
    sample = videos.first()
    remark = fo.TemporalDetection(label="stumbles", support=[10, 20])
    sample[fields.EVENTS].detections.append(remark)
    sample.save()
    lp.gait(videos)
    assert "stumbles" in [label.label for label in videos.first()[fields.EVENTS].detections]


def test_a_view_leaves_other_videos_alone(videos):
    lp.gait(videos[:1])
    assert videos.last()[fields.GAIT] is None and videos.first()[fields.GAIT] is not None


def test_an_interrupted_smooth_is_named(videos):
    lp.smooth(videos.match_frames(fo.ViewField("frame_number") < 50)[:1], cutoff_hz=7.0)
    summary = lp.gait(videos)
    assert "smooth was interrupted" in summary.warnings[videos.first().filepath][-1]


def test_images_are_refused(dataset_name):
    dataset = fo.Dataset(dataset_name)
    dataset.add_sample(fo.Sample("/x/1.jpg"))
    with pytest.raises(DatasetError, match="these are images"):
        lp.gait(dataset)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"field": "none"}, "run smooth first"),
        ({"method": "guess"}, "take one of zeni, heights"),
        ({"leg_length_m": 85}, "leg_length_m is 85; give metres"),
        ({"belt_speed_m_s": 0}, "belt_speed_m_s is 0"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(videos, options, reason):
    with pytest.raises(DatasetError, match=reason):
        lp.gait(videos, **options)
    assert not videos.has_sample_field(fields.EVENTS)
