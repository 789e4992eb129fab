"""The review of a frame: declared, written and read in one place, for videos and for images."""

from datetime import UTC, datetime

import fiftyone as fo
import numpy as np
import pytest

from fiftyone_legpose.dataset import frame_review
from fiftyone_legpose.dataset.fields import CORRECTED, OUT, REVIEW, SELECTED
from fiftyone_legpose.errors import DatasetError


@pytest.fixture(params=["mp4", "jpg"], ids=["videos", "images"])
def dataset(request, dataset_name) -> fo.Dataset:
    """Two videos of two frames, or four images; nothing was ever reviewed."""
    made = fo.Dataset(dataset_name)
    if request.param == "jpg":
        made.add_samples([fo.Sample(filepath=f"/nowhere/{i}.jpg") for i in range(4)])
        return made
    for i in range(2):
        sample = fo.Sample(filepath=f"/nowhere/{i}.mp4")
        sample.frames[1], sample.frames[2] = fo.Frame(), fo.Frame()
        made.add_sample(sample)
    return made


def test_a_dataset_that_was_never_reviewed_reads_as_no_state(dataset):
    reviews = frame_review.read(dataset)
    assert len(reviews.frame_ids) == 4
    assert reviews.state.tolist() == [None] * 4
    assert np.isnan(reviews.score).all()
    assert reviews.ids(SELECTED) == []


def test_marking_keeps_score_and_reasons(dataset):
    ids = frame_review.read(dataset).frame_ids
    frame_review.declare(dataset)
    frame_review.write(dataset, {ids[1]: frame_review.document(0.7, ["jump left_knee"], SELECTED)})
    at = datetime(2026, 1, 2, tzinfo=UTC)
    frame_review.mark(dataset, ids[1:3], state=OUT, key="round1", by="ana", at=at)
    frame_review.mark(dataset, [ids[2]], state=CORRECTED, key="round1")
    reviews = frame_review.read(dataset)
    assert reviews.state.tolist() == [None, OUT, CORRECTED, None]
    assert reviews.key.tolist() == [None, "round1", "round1", None]
    assert reviews.score[1] == 0.7
    assert reviews.ids(OUT, CORRECTED) == ids[1:3]
    if dataset.media_type == "video":
        label = dataset.first().frames[2][REVIEW]
    else:
        label = dataset[ids[1]][REVIEW]
    assert label.reasons == ["jump left_knee"]
    assert (label.by, label.at.replace(tzinfo=UTC), label.label) == ("ana", at, OUT)


def test_reading_a_view_gives_the_views_frames_alone(dataset):
    ids = frame_review.read(dataset).frame_ids
    video = dataset.media_type == "video"
    view = dataset.select_frames(ids[3]) if video else dataset.select(ids[3])
    assert frame_review.read(view).frame_ids == ids[3:]


def test_a_frame_of_another_dataset_is_refused_and_nothing_written(dataset):
    ids = frame_review.read(dataset).frame_ids
    with pytest.raises(DatasetError, match="1 of 2 frames are not in dataset"):
        frame_review.mark(dataset, [ids[0], "0" * 24], state=OUT)
    assert frame_review.read(dataset).state.tolist() == [None] * 4


def test_an_unknown_state_is_refused(dataset):
    with pytest.raises(ValueError, match="selected, out, corrected, empty"):
        frame_review.mark(dataset, [], state="done")


def test_the_summary_of_a_video_follows_its_frames(dataset):
    ids = frame_review.read(dataset).frame_ids
    frame_review.declare(dataset)
    for score in (0.4, 0.9):
        frame_review.write(dataset, {ids[0]: frame_review.document(score, [], None)})
        frame_review.summarize(dataset)
        if dataset.media_type == "video":
            assert dataset.first()[frame_review.SUMMARY].max == score
        else:
            assert not dataset.has_sample_field(frame_review.SUMMARY)
