"""Voting averages all that a network says of a person, and says how far it agrees with itself."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.prediction import runtimes
from fiftyone_legpose.prediction.flip_test import join
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.runtimes import PoseModel
from fiftyone_legpose.prediction.voting import vote
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import find_weights
from tests.fiftyone_legpose.raw_poses import LEG, POSE, found
from tests.fiftyone_legpose.untrained import untrained

FLIP = list(legs.FLIP_INDEX)
OVERLAP = 0.7


def test_points_are_means_of_all_who_are_sure_and_confidence_says_how_well_they_agree():
    moved = POSE.copy()
    moved[8] += (0.1 * LEG, 0)
    kept = found((POSE, 0.9, 0.8))
    dropped = found((moved, 0.6, 0.4))
    dropped.boxes[:] = kept.boxes
    voted = vote(kept, join(kept, dropped), overlap=OVERLAP)
    shares = np.array([0.9 * 0.8, 0.6 * 0.4])
    off = 0.1 * shares[::-1] / shares.sum()
    expected = POSE.copy()
    expected[8] += (off[0] * LEG, 0)
    assert np.allclose(voted.points, expected, atol=1e-3)
    agreed = np.array([0.8, 0.4]) * 2 ** -((off / 0.05) ** 2)
    at_foot = np.average(agreed, weights=[0.9, 0.6]) ** 0.8
    assert voted.confidence[0, 8] == pytest.approx(at_foot, abs=1e-3)
    same = np.average([0.8, 0.4], weights=[0.9, 0.6]) ** 0.8
    assert np.allclose(np.delete(voted.confidence[0], 8), same, atol=1e-3)
    assert np.array_equal(voted.boxes, kept.boxes)
    assert np.array_equal(voted.scores, kept.scores)


def test_who_has_the_sides_exchanged_is_not_averaged_and_makes_it_unsure():
    kept, other = found((POSE, 0.9, 0.8)), found((POSE[FLIP], 0.9, 0.8))
    other.boxes[:] = kept.boxes
    voted = vote(kept, join(kept, other), overlap=OVERLAP)
    assert np.allclose(voted.points, POSE)
    apart = np.linalg.norm(POSE - POSE[FLIP], axis=1) > 0.2 * LEG
    assert apart.any()
    assert np.allclose(voted.confidence[0, apart], 0.4**0.8, atol=0.01)


@pytest.mark.parametrize("why", ["another person", "hardly one", "little overlap"])
def test_nobody_else_votes(why):
    moved = POSE + (0.05 * LEG, 0)
    kept, other = found((POSE, 0.9, 0.8)), found((moved, 0.44 if why == "hardly one" else 0.6, 0.4))
    other.boxes[:] = kept.boxes
    if why != "hardly one":
        width = kept.boxes[0, 2] - kept.boxes[0, 0]
        # Of two boxes of one size, s apart: intersection over union is (1 - s) / (1 + s).
        other.boxes[:, ::2] += (2 if why == "another person" else 0.2) * width
    voted = vote(kept, join(kept, other), overlap=OVERLAP)
    assert np.allclose(voted.points, kept.points)
    assert np.allclose(voted.confidence, kept.confidence**0.8)


def test_everybody_has_their_own_voters():
    beside = POSE + (5 * LEG, 0)
    kept = found((POSE, 0.9, 0.8), (beside, 0.5, 0.8))
    near = found((POSE + (0.04 * LEG, 0), 0.9, 0.8), (beside - (0.02 * LEG, 0), 0.5, 0.8))
    near.boxes[:] = kept.boxes
    voted = vote(kept, join(kept, near), overlap=OVERLAP)
    assert np.allclose(voted.points[0], POSE + (0.02 * LEG, 0), atol=1e-3)
    assert np.allclose(voted.points[1], beside - (0.01 * LEG, 0), atol=1e-3)
    nobody = found()
    assert len(vote(nobody, nobody, overlap=OVERLAP).scores) == 0
    assert len(vote(nobody, kept, overlap=OVERLAP).scores) == 0


def test_who_is_between_two_people_votes_on_the_closer_one_alone():
    # Boxes of one width, 0.1 and 0.05 of it apart: overlaps of 0.82 and 0.9.
    near, far = found((POSE + (0.04 * LEG, 0), 0.9, 0.8)), found((POSE, 0.9, 0.8))
    between = found((POSE + (0.02 * LEG, 0), 0.9, 0.8))
    width = far.boxes[0, 2] - far.boxes[0, 0]
    for one, apart in ((near, 0.15), (between, 0.1)):
        one.boxes[:] = far.boxes + np.array([1, 0, 1, 0]) * apart * width
    voted = vote(join(far, near), join(far, near, between), overlap=OVERLAP)
    assert np.allclose(voted.points[0], POSE)
    assert np.allclose(voted.points[1], POSE + (0.03 * LEG, 0), atol=1e-3)


def test_a_box_that_the_border_has_cut_to_nothing_keeps_its_points():
    kept = found((POSE, 0.9, 0.8))
    kept.boxes[:] = 0
    voted = vote(kept, kept, overlap=OVERLAP)
    assert np.array_equal(voted.points, kept.points)
    assert np.array_equal(voted.confidence, kept.confidence)


def test_weights_without_a_confidence_a_point_still_have_none():
    kept, other = (
        replace(found((p, 0.6, 1.0)), confidence=None) for p in (POSE, POSE + (0.04 * LEG, 0))
    )
    other.boxes[:] = kept.boxes
    voted = vote(kept, join(kept, other), overlap=OVERLAP)
    assert voted.confidence is None
    assert np.allclose(voted.points, POSE + (0.02 * LEG, 0))


@pytest.fixture(scope="module")
def frame(sample_clip) -> np.ndarray:
    capture = cv2.VideoCapture(str(sample_clip))
    _, bgr = capture.read()
    capture.release()
    return cv2.resize(bgr, (288, 256))


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_the_persons_are_those_of_ultralytics_and_their_points_are_means(frame, backend):
    options = {"backend": backend, "device": "cpu", "imgsz": 288, "conf": 0.1}
    plain, voting = (
        PoseModel(find_weights(), Inference(voting=v, **options)) for v in (False, True)
    )
    pictures = [frame, np.zeros_like(frame), np.ascontiguousarray(frame[:, ::-1])]
    moved, trusted = [], []
    for bare, voted in zip(
        *(model.infer([model.prepare(p) for p in pictures]) for model in (plain, voting)),
        strict=True,
    ):
        assert np.allclose(bare.boxes, voted.boxes)
        assert np.allclose(bare.scores, voted.scores)
        apart = np.linalg.norm(bare.points - voted.points, axis=-1)
        assert len(apart) == 0 or apart.max() > 0
        assert (apart < 0.3 * LEG).all()
        moved.append(apart.ravel())
        trusted.append((voted.confidence - bare.confidence).ravel())
    assert len(voted.scores) > 0
    # What the cells say differently is trusted less.
    assert np.corrcoef(np.concatenate(moved), np.concatenate(trusted))[0, 1] < -0.2


@pytest.mark.parametrize("right_first", [False, True])
def test_with_the_flip_test_a_mirrored_frame_has_the_mirrored_answer(frame, right_first):
    weights = replace(find_weights(), right_first=right_first)
    options = {"backend": "torch", "device": "cpu", "imgsz": 288, "conf": 0.1, "flip_test": True}
    model = PoseModel(weights, Inference(voting=True, **options))
    pictures = [frame, np.ascontiguousarray(frame[:, ::-1])]
    [plain, mirrored] = model.infer([model.prepare(picture) for picture in pictures])
    assert len(plain.scores) == len(mirrored.scores) > 0
    turned = mirrored.points[:, FLIP] * (-1, 1) + (frame.shape[1], 0)
    assert np.allclose(plain.points, turned, atol=0.01)
    assert np.allclose(plain.confidence, mirrored.confidence[:, FLIP], atol=1e-3)
    unvoted = PoseModel(weights, Inference(voting=False, **options))
    [again] = unvoted.infer([unvoted.prepare(frame)])
    assert not np.allclose(plain.points[0], again.points[0], atol=0.01)


@pytest.mark.parametrize(
    ("architecture", "values"), [("yolo26n-pose.yaml", 3), ("yolov8n-pose.yaml", 2)]
)
def test_other_models_vote_too(frame, tmp_path, monkeypatch, architecture, values):
    path = untrained(tmp_path / "legs.pt", architecture, values=values)
    given = []

    def note(persons, candidates, **options):
        given.append((persons, candidates))
        return vote(persons, candidates, **options)

    monkeypatch.setattr(runtimes, "vote", note)
    raw, _ = find_with_and_without(frame, path)
    assert (raw.confidence is None) == (values == 2)
    [(persons, candidates)] = given
    assert len(candidates.scores) > len(persons.scores) > 0
    for points, box, score in zip(persons.points, persons.boxes, persons.scores, strict=True):
        [own] = np.flatnonzero(np.isclose(candidates.points, points).all(axis=(1, 2)))
        assert np.allclose(candidates.boxes[own], box)
        assert candidates.scores[own] == pytest.approx(score)


def test_who_falls_short_of_the_lowest_confidence_of_a_person_votes_too(frame, monkeypatch):
    given = []
    monkeypatch.setattr(runtimes, "vote", lambda *pair, **_: given.append(pair) or pair[0])
    options = {"backend": "torch", "device": "cpu", "imgsz": 288}
    sure = PoseModel(find_weights(), Inference(conf=0.1, plain=True, **options))
    [raw] = sure.infer([sure.prepare(frame)])
    between = float(np.sort(raw.scores)[-2:].mean())
    model = PoseModel(find_weights(), Inference(voting=True, conf=between, **options))
    model.infer([model.prepare(frame)])
    [(persons, candidates)] = given
    assert len(persons.scores) == 1
    assert 0.5 * model.inference.conf <= candidates.scores.min() < model.inference.conf


def test_nobody_votes_where_everybody_is_said_once(frame, tmp_path):
    path = untrained(tmp_path / "legs26.pt", "yolo26n-pose.yaml")
    yolo = import_ultralytics().YOLO(str(path))
    yolo.model.end2end = True
    yolo.model.fuse()
    yolo.save(path)
    raw, bare = find_with_and_without(frame, path)
    assert len(raw.scores) > 0
    assert np.array_equal(raw.points, bare.points)
    assert np.array_equal(raw.confidence, bare.confidence)


def find_with_and_without(frame, path):
    weights = find_weights(path, trust=True)
    options = {"backend": "torch", "device": "cpu", "imgsz": 288, "conf": 0.001}
    models = (PoseModel(weights, Inference(voting=voting, **options)) for voting in (True, False))
    return [model.infer([model.prepare(frame)])[0] for model in models]
