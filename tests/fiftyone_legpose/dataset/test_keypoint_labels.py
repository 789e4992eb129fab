import fiftyone as fo
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import keypoint_labels, pose_table

SIZE = (640, 360)


@given(
    points=arrays(float, (10, 2), elements=st.floats(-2000, 4000)),
    visibility=arrays(int, 10, elements=st.integers(0, 2)),
    track_id=st.none() | st.integers(0, 99),
)
def test_a_pose_survives_the_way_into_a_label_and_back(points, visibility, track_id):
    pose = Pose(points=points, visibility=visibility, track_id=track_id)
    [back] = keypoint_labels.to_poses(keypoint_labels.to_keypoints([pose], SIZE), SIZE)
    assert np.array_equal(back.visibility, visibility)
    seen = visibility > 0
    assert np.allclose(back.points[seen], points[seen], atol=1e-6)
    assert np.isnan(back.points[~seen]).all()
    assert back.track_id == track_id


def test_none_and_nobody_give_no_poses():
    assert keypoint_labels.to_poses(None, SIZE) == []
    assert keypoint_labels.to_poses(fo.Keypoints(), SIZE) == []


def test_points_that_the_model_is_unsure_of_keep_their_place():
    confidence = np.full((1, 10), 0.9)
    confidence[0, 3] = legs.OCCLUDED_BELOW - 0.01
    points = np.random.default_rng(1).uniform(0, 300, (1, 10, 2))
    keypoints, boxes = keypoint_labels.predicted_labels(
        np.array([[10.0, 20.0, 110.0, 220.0]]), np.array([0.8]), points, confidence, SIZE
    )
    [label] = keypoints.keypoints
    assert label.visible == [2, 2, 2, 1, 2, 2, 2, 2, 2, 2]
    assert np.allclose(np.array(label.points) * SIZE, points[0])
    [box] = boxes.detections
    assert box.bounding_box == pytest.approx([10 / 640, 20 / 360, 100 / 640, 200 / 360])
    assert box.instance.id == label.instance.id


def test_weights_without_confidence_give_visible_points():
    keypoints, _ = keypoint_labels.predicted_labels(
        np.zeros((1, 4)), np.array([0.8]), np.ones((1, 10, 2)), None, SIZE
    )
    assert keypoints.keypoints[0].visible == [2] * 10
    assert keypoints.keypoints[0].confidence is None


@pytest.fixture
def images(dataset_name):
    dataset = fo.Dataset(dataset_name)
    for number in range(3):
        metadata = fo.ImageMetadata(width=SIZE[0], height=SIZE[1])
        dataset.add_sample(fo.Sample(filepath=f"{number}.jpg", metadata=metadata))
    keypoint_labels.declare(dataset, "legpose", boxes=True)
    return dataset


def test_reading_a_collection_gives_every_pose_in_px(images):
    pose = Pose(np.arange(20.0).reshape(10, 2), np.array([2, 1] * 5), track_id=4, score=0.5)
    samples = list(images)
    samples[0]["legpose"] = keypoint_labels.to_keypoints([pose, pose], SIZE)
    samples[1]["legpose"] = fo.Keypoints()
    for sample in samples:
        sample.save()
    table = pose_table.read_poses(images, "legpose")
    assert table.looked_at.tolist() == [True, True, False]
    assert table.pose_frame.tolist() == [0, 0]
    assert np.allclose(table.points[1], pose.points)
    assert table.visibility[0].tolist() == [2, 1] * 5
    assert table.track.tolist() == [4, 4]
    assert np.isnan(table.confidence).all()


def test_declaring_twice_keeps_the_users_skeleton(images):
    own = fo.KeypointSkeleton(labels=["a", "b"], edges=[[0, 1]])
    images.skeletons = {"legpose": own}
    keypoint_labels.declare(images, "legpose")
    assert images.skeletons["legpose"].labels == ["a", "b"]
