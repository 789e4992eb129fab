"""A COCO file holds what was exported, and comes back as it went."""

import json

import numpy as np
import pytest
from faster_coco_eval import COCO

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.exports.export import export
from fiftyone_legpose.review.labels_import import import_labels
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.reviewing import SIZE, frame_ids, people


@pytest.fixture
def video(dataset_name, short_clip):
    """Two persons on each frame but the third; the first was corrected, the second is empty."""
    made = reviewing.video_dataset(dataset_name, short_clip)
    keypoint_labels.declare(made, fields.GROUND_TRUTH)
    [fixed, _] = people(made, fields.PREDICTIONS, 0)
    ids = frame_ids(made)
    truth = {ids[0]: keypoint_labels.to_keypoints([fixed], SIZE)}
    truth[ids[1]] = keypoint_labels.to_keypoints([], SIZE)
    made.set_values(f"frames.{fields.GROUND_TRUTH}", truth, key_field="frames.id")
    return made


def test_predictions_and_corrections_in_one_file(video, tmp_path):
    summary = export(video, tmp_path / "legs.json")
    assert (summary.rows, summary.frames, summary.corrected_frames) == (1 + 2 * 8, 9, 2)
    values = json.loads((tmp_path / "legs.json").read_text())
    [category] = values["categories"]
    assert category["keypoints"] == list(legs.KEYPOINTS)
    names = [image["file_name"] for image in values["images"]]
    assert names[:3] == ["short_00001.jpg", "short_00002.jpg", "short_00003.jpg"]
    assert "short_00004.jpg" not in names  # nobody has looked at it
    first, second = values["annotations"][:2]
    assert first["corrected"] and "score" in first
    assert second["image_id"] == 3 or not second["corrected"]
    pose = people(video, fields.GROUND_TRUTH, 0)[0]
    xyv = np.reshape(first["keypoints"], (10, 3))
    assert np.allclose(xyv[:, :2], pose.points, atol=0.006)
    assert xyv[:, 2].tolist() == pose.visibility.tolist()
    low, high = pose.points.min(axis=0), pose.points.max(axis=0)
    assert np.allclose(first["bbox"], [*low, *(high - low)], atol=0.02)


def test_others_can_read_it(video, tmp_path):
    export(video, tmp_path / "legs.json")
    read = COCO(str(tmp_path / "legs.json"))
    assert len(read.getAnnIds()) == 17
    assert read.loadCats(1)[0]["skeleton"][0] == [1, 2]


def test_it_comes_back_as_it_went(video, tmp_path):
    export(video, tmp_path / "legs.json")
    video.clear_frame_field(fields.GROUND_TRUTH)
    summary = import_labels(video, tmp_path / "legs.json")
    assert (summary.persons, summary.unmatched) == (17, [])
    for frame in (4, 11):
        for there, here in zip(
            people(video, fields.PREDICTIONS, frame),
            people(video, fields.GROUND_TRUTH, frame),
            strict=True,
        ):
            assert here.matches(there, within_px=0.01)


def test_a_name_that_says_another_format_is_refused(video, tmp_path):
    with pytest.raises(DatasetError, match=r"name it legs\.json, or take the format csv"):
        export(video, tmp_path / "legs.csv", format="coco")
    assert not list(tmp_path.iterdir())
