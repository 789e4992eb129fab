"""Reading the poses of a whole collection: visibility, empty frames, views, bad fields."""

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId

from cvat_bridge.poses import Pose
from fiftyone_legpose.dataset import keypoint_labels, pose_table
from fiftyone_legpose.dataset.frames import frame_documents
from fiftyone_legpose.errors import DatasetError

SIZE = (200, 100)


def pose(shift: float = 0.0, **attributes) -> Pose:
    points = np.arange(20, dtype=float).reshape(10, 2) + shift
    visibility = np.array([2, 1, 0, 2, 2, 2, 2, 2, 2, 2])
    points[2] = np.nan
    return Pose(points=points, visibility=visibility, **attributes)


def sample(name: str, *frames: fo.Keypoints | None) -> fo.Sample:
    metadata = fo.VideoMetadata(frame_width=SIZE[0], frame_height=SIZE[1], frame_rate=25.0)
    made = fo.Sample(filepath=f"/nowhere/{name}.mp4", metadata=metadata)
    for number, label in enumerate(frames, 1):
        made.frames[number] = fo.Frame(legs=label)
    return made


@pytest.fixture
def dataset(dataset_name) -> fo.Dataset:
    made = fo.Dataset(dataset_name, media_type="video")
    keypoint_labels.declare(made, "legs")
    confidence = np.linspace(0.1, 1, 10)
    tracked = pose(0.25, confidence=confidence, score=0.8, track_id=4)
    two = keypoint_labels.to_keypoints([tracked, pose(1)], SIZE)
    made.add_samples(
        [sample("a", None, two, keypoint_labels.to_keypoints([], SIZE)), sample("b", None)]
    )
    return made


def test_poses_come_back_in_px_with_their_frames(dataset):
    table = pose_table.read_poses(dataset, "legs")
    assert table.frame_sample.tolist() == [0, 0, 0, 1]
    assert table.frame_number.tolist() == [1, 2, 3, 1]
    assert table.looked_at.tolist() == [False, True, True, False]
    assert table.pose_frame.tolist() == [1, 1]
    assert table.frame_rates.tolist() == [25, 25]
    np.testing.assert_allclose(table.points[0], pose(0.25).points, atol=1e-9)
    assert (table.visibility == pose().visibility).all()
    assert table.confidence[0, 9] == 1 and np.isnan(table.confidence[1]).all()
    assert table.score[0] == 0.8 and np.isnan(table.score[1])
    assert table.track.tolist() == [4, -1]


def test_a_video_may_be_longer_than_a_document_of_mongodb(dataset_name):
    """Its poses are some 20 MB in all; MongoDB allows a document 16."""
    frames = 15_000
    made = fo.Dataset(dataset_name, media_type="video")
    keypoint_labels.declare(made, "legs", boxes=True)
    [sample_id] = made.add_samples([sample("long", None)])
    label = keypoint_labels.predicted_documents(
        np.array([[0, 0, 90, 90], [5, 5, 95, 95.0]]),
        np.array([0.9, 0.8]),
        np.full((2, 10, 2), 1 / 3),
        np.full((2, 10), 2 / 3),
        SIZE,
        track_ids=np.array([0, 1]),
        made_by="run",
    )
    frame = {"_sample_id": ObjectId(sample_id), "legs": label[0], "legs_boxes": label[1]}
    made._frame_collection.insert_many(
        {**frame, "_id": ObjectId(), "frame_number": number} for number in range(2, frames + 1)
    )
    table = pose_table.read_poses(made, "legs")
    assert table.frame_number.tolist() == list(range(1, frames + 1))
    assert table.points.shape == (2 * (frames - 1), 10, 2)
    whole = frame_documents(made, ["legs", "legs_boxes"])
    assert sum("legs_boxes" in document for _, document in whole) == frames - 1


def test_a_view_gives_its_own_frames(dataset):
    ids = dataset.values("frames.id")
    table = pose_table.read_poses(dataset.select_frames([ids[0][1], ids[1][0]]), "legs")
    assert table.frame_ids == [ids[0][1], ids[1][0]]
    assert table.pose_frame.tolist() == [0, 0]


def test_images_count_as_one_frame_each(dataset_name):
    made = fo.Dataset(dataset_name)
    metadata = fo.ImageMetadata(width=SIZE[0], height=SIZE[1])
    labels = [
        None,
        keypoint_labels.to_keypoints([pose()], SIZE),
        keypoint_labels.to_keypoints([], SIZE),
    ]
    made.add_samples(
        [
            fo.Sample(filepath=f"/nowhere/{i}.jpg", metadata=metadata, legs=label)
            for i, label in enumerate(labels)
        ]
    )
    table = pose_table.read_poses(made, "legs")
    assert table.frame_ids == table.sample_ids
    assert table.looked_at.tolist() == [False, True, True]
    assert table.pose_frame.tolist() == [1]
    assert np.isnan(table.frame_rates).all()


def test_labels_without_attributes_are_visible_where_they_have_a_place(dataset_name):
    made = fo.Dataset(dataset_name)
    points = [(0.5, 0.5)] * 9 + [(float("nan"), float("nan"))]
    label = fo.Keypoints(keypoints=[fo.Keypoint(points=points)])
    metadata = fo.ImageMetadata(width=10, height=10)
    made.add_sample(fo.Sample(filepath="/nowhere/0.jpg", metadata=metadata, legs=label))
    assert pose_table.read_poses(made, "legs").visibility.tolist() == [[2] * 9 + [0]]


def test_an_empty_collection_gives_empty_arrays(dataset):
    table = pose_table.read_poses(dataset.limit(0), "legs")
    assert table.points.shape == (0, 10, 2)
    assert table.frame_ids == []


def test_what_cannot_be_read_is_named(dataset):
    with pytest.raises(DatasetError, match="no keypoints in field 'other'"):
        pose_table.read_poses(dataset, "other")
    dataset.set_values("metadata", [None, None])
    with pytest.raises(DatasetError, match=r"size of '/nowhere/a.mp4' cannot be read \(2"):
        pose_table.read_poses(dataset, "legs")
