"""The flip test averages what agrees, keeps the surer side where it does not, and loses nobody."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.prediction.flip_test import merge
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.runtimes import PoseModel
from fiftyone_legpose.zoo.weights import find_weights
from tests.fiftyone_legpose.raw_poses import LEG, POSE, found
from tests.fiftyone_legpose.untrained import untrained

FLIP = list(legs.FLIP_INDEX)


def test_points_are_means_by_confidence_and_confidence_says_how_well_they_agree():
    moved = POSE.copy()
    moved[8] += (0.1 * LEG, 0)
    one, other = found((POSE, 0.9, 0.9)), found((moved, 0.5, 0.3))
    merged = merge(one, other, conf=0.25)
    expected = POSE.copy()
    expected[8] += (0.025 * LEG, 0)
    assert np.allclose(merged.points, expected, atol=1e-3)
    assert merged.scores == pytest.approx([0.7])
    assert np.allclose(merged.boxes, (one.boxes + other.boxes) / 2)
    at_foot = (0.9 * 2 ** -(0.25**2) + 0.3 * 2 ** -(0.75**2)) / 2
    assert merged.confidence[0, 8] == pytest.approx(at_foot, abs=1e-3)
    assert np.allclose(np.delete(merged.confidence[0], 8), 0.6)


@pytest.mark.parametrize("surer_is_mirrored", [False, True])
def test_sides_that_contradict_are_the_surer_pictures_and_little_trusted(surer_is_mirrored):
    sure, unsure = found((POSE, 0.9, 0.8)), found((POSE[FLIP], 0.6, 0.9))
    both = (unsure, sure) if surer_is_mirrored else (sure, unsure)
    merged = merge(*both, conf=0.25)
    assert np.allclose(merged.points, sure.points)
    assert np.allclose(merged.boxes, sure.boxes)
    assert merged.scores == pytest.approx([0.75])
    apart = np.linalg.norm(POSE - POSE[FLIP], axis=1) > 0.3 * LEG
    assert apart.any()
    assert np.allclose(merged.confidence[0, apart], 0.4, atol=0.01)


def test_who_is_in_one_picture_alone_counts_half():
    beside = POSE + (5 * LEG, 0)
    merged = merge(found((POSE, 0.9, 0.9), (beside, 0.6, 0.7)), found((POSE, 0.9, 0.9)), conf=0.25)
    assert merged.scores == pytest.approx([0.9, 0.3])
    assert np.allclose(merged.points[1], beside)
    assert np.allclose(merged.confidence[1], 0.7)
    nobody = found()
    assert len(merge(found((POSE, 0.4, 0.9)), nobody, conf=0.25).scores) == 0
    assert merge(nobody, found((POSE, 0.8, 0.9)), conf=0.25).scores == pytest.approx([0.4])
    assert len(merge(nobody, nobody, conf=0.25).scores) == 0


def test_a_candidate_that_hardly_is_one_takes_nobodys_place():
    near = POSE + (0.05 * LEG, 0)
    merged = merge(found((POSE, 0.9, 0.9)), found((near, 0.9, 0.9), (POSE, 0.1, 0.9)), conf=0.25)
    assert merged.scores == pytest.approx([0.9])
    assert np.allclose(merged.points, (POSE + near) / 2)


def test_weights_without_a_confidence_a_point_still_have_none():
    moved = POSE + (0.05 * LEG, 0)
    one, other = (replace(found((p, 0.9, 1.0)), confidence=None) for p in (POSE, moved))
    merged = merge(one, other, conf=0.25)
    assert merged.confidence is None
    assert np.allclose(merged.points, (POSE + moved) / 2)
    assert len(merge(one, replace(found(), confidence=None), conf=0.25).scores) == 1


@pytest.fixture(scope="module")
def frame(sample_clip) -> np.ndarray:
    capture = cv2.VideoCapture(str(sample_clip))
    _, bgr = capture.read()
    capture.release()
    return cv2.resize(bgr, (288, 256))


@pytest.mark.parametrize(
    ("backend", "right_first"), [("torch", False), ("openvino", False), ("torch", True)]
)
def test_a_mirrored_frame_has_the_mirrored_answer(frame, backend, right_first):
    # No padding, which the middle of a pixel might be on either side of.
    weights = replace(find_weights(), right_first=right_first)
    model = PoseModel(
        weights, Inference(backend=backend, device="cpu", imgsz=288, conf=0.1, flip_test=True)
    )
    pictures = [frame, np.ascontiguousarray(frame[:, ::-1])]
    [plain, mirrored] = model.infer([model.prepare(picture) for picture in pictures])
    assert len(plain.scores) == len(mirrored.scores) > 0
    turned = mirrored.points[:, FLIP] * (-1, 1) + (frame.shape[1], 0)
    assert np.allclose(plain.points, turned, atol=0.01)
    boxes = mirrored.boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (frame.shape[1], 0) * 2
    assert np.allclose(plain.boxes, boxes, atol=0.01)
    assert np.allclose(plain.confidence, mirrored.confidence[:, FLIP], atol=1e-3)
    bare = PoseModel(weights, Inference(backend=backend, device="cpu", imgsz=288, conf=0.1))
    [once, again] = bare.infer([bare.prepare(picture) for picture in pictures])
    assert not np.allclose(once.points[0], again.points[0][FLIP] * (-1, 1) + (288, 0), atol=0.01)


@pytest.mark.parametrize("voting", [False, True])
def test_batches_of_frames_keep_their_own_mirror_image(frame, voting):
    options = {"backend": "torch", "device": "cpu", "imgsz": 160, "conf": 0.1}
    model = PoseModel(find_weights(), Inference(flip_test=True, voting=voting, **options))
    larger = cv2.resize(frame, None, fx=2, fy=2)
    pictures = [frame, np.zeros_like(frame), np.roll(frame, 40, axis=1), larger]
    alone = [model.infer([model.prepare(picture)])[0] for picture in pictures]
    assert [len(one.scores) > 0 for one in alone] == [True, False, True, True]
    together = model.infer([model.prepare(picture) for picture in pictures])
    for one, same in zip(alone, together, strict=True):
        assert np.allclose(one.points, same.points, atol=0.01)
        assert np.allclose(one.scores, same.scores, atol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "values"), [("yolo26n-pose.yaml", 3), ("yolov8n-pose.yaml", 2)]
)
def test_other_models_go_through_it_too(frame, tmp_path, architecture, values):
    path = untrained(tmp_path / "legs.pt", architecture, values=values)
    weights = find_weights(path, trust=True)
    options = {"backend": "torch", "device": "cpu", "imgsz": 288, "conf": 0.001}
    model = PoseModel(weights, Inference(flip_test=True, **options))
    [raw] = model.infer([model.prepare(frame)])
    assert raw.points.shape == (len(raw.scores), 10, 2)
    assert len(raw.scores) > 0
    assert (raw.confidence is None) == (values == 2)


@pytest.mark.parametrize("size", [(1080, 1920), (101, 200), (217, 133)])
def test_mirrored_points_come_back_whatever_the_padding(size):
    import torch

    model = PoseModel(find_weights(), Inference(backend="torch", device="cpu", imgsz=160))
    prepared = model.prepare(np.zeros((*size, 3), np.uint8))
    inner = prepared.pixels.shape[:2]
    where = np.random.default_rng(0).uniform(0.3, 0.7, (2, 12, 2)) * inner[::-1]
    rows = np.concatenate(
        [
            where[:, 10:].min(axis=1),
            where[:, 10:].max(axis=1),
            np.full((2, 2), 0.5),
            np.concatenate([where[:, :10], np.full((2, 10, 1), 0.9)], axis=2).reshape(2, 30),
        ],
        axis=1,
    )
    turned = rows.copy()
    turned[:, [0, 2]] = inner[1] - rows[:, [2, 0]]
    keypoints = turned[:, 6:].reshape(2, 10, 3)
    keypoints[..., 0] = inner[1] - keypoints[..., 0]
    turned[:, 6:] = keypoints[:, FLIP].reshape(2, 30)
    before = torch.from_numpy(turned)
    plain = model._to_raw(torch.from_numpy(rows), inner, size)
    again = model._to_raw(before, inner, size, mirrored=True)
    assert np.allclose(plain.points, again.points)
    assert np.allclose(plain.boxes, again.boxes)
    assert np.array_equal(before.numpy(), turned)
