from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fiftyone_legpose import legs
from fiftyone_legpose.evaluation.metrics import Persons
from weights.recipe.measuring import (
    COCO,
    Truth,
    join,
    load_coco,
    measure,
    measure_by,
    predict_all,
    read_truth,
    without_feet,
)

LEG = 100.0


@pytest.fixture
def truth() -> Truth:
    """One person in each of two pictures; the second one's right side is occluded."""
    pose = np.array(
        [
            *((60, 0), (40, 0), (65, 50), (35, 50), (60, 100), (40, 100)),
            *((55, 108), (45, 108), (75, 112), (25, 112)),
        ],
        float,
    )
    points = np.stack([pose, pose + 20])
    visibility = np.full((2, 10), 2)
    visibility[1, 1::2] = 1
    unknown = np.full((2, 10), np.nan)
    return Truth(
        names=("p2s1_cam03_0000_0", "intel_p5_1256_0"),
        images=(np.zeros((200, 200, 3), np.uint8),) * 2,
        persons=Persons(np.arange(2), points, visibility, unknown, unknown[:, 0]),
        leg=np.full(2, LEG),
        area=np.full(2, 50.0 * 112),
    )


def answer(
    points: np.ndarray, confidence: float = 0.9
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return points[None], np.full((1, 10), confidence), np.array([0.9])


def numbers(truth, *answers):
    following = iter(answers)
    return measure(truth, predict_all(truth, lambda image: next(following)))


def test_perfect_predictions_are_perfect(truth):
    got = numbers(truth, *(answer(points) for points in truth.persons.points))
    for key in ("found", "ap50", "ap50_95", "pck@0.05/all/all", "pck@0.1/occluded/all"):
        assert got[key] == pytest.approx(1)
    assert got["swapped/all"] == got["spare"] == 0
    assert (got["pictures"], got["persons"]) == (2, 2)


def test_a_missed_person_counts_against_every_share(truth):
    nobody = np.zeros((0, 10, 2)), np.zeros((0, 10)), np.zeros(0)
    got = numbers(truth, answer(truth.persons.points[0]), nobody)
    assert got["found"] == 0.5
    assert got["pck@0.1/all/all"] == 0.5
    assert got["pck@0.1/occluded/all"] == 0


def test_exchanged_sides_are_swaps(truth):
    first, second = truth.persons.points
    got = numbers(truth, answer(first), answer(second[list(legs.FLIP_INDEX)]))
    assert got["swapped/all"] == pytest.approx(0.5)


def test_confidence_is_reported_for_each_kind_of_point(truth):
    first, second = truth.persons.points
    off = second.copy()
    off[0] += LEG / 2
    sure = answer(first)
    unsure = off[None], np.where(np.arange(10) == 0, 0.1, 0.6)[None], np.array([0.9])
    got = numbers(truth, sure, unsure)
    assert got["auc/visible"] == 1
    assert got["confidence/occluded"] == pytest.approx(0.6)
    assert got["unsure/visible"] == pytest.approx(1 / 15)
    assert np.isnan(got["confidence/cut off"])


def test_each_set_of_pictures_is_measured_apart(truth):
    following = iter([answer(truth.persons.points[0]), answer(truth.persons.points[1] + 60)])
    sets = {
        "lab": lambda name: name.startswith("p2s"),
        "street": lambda name: name.startswith("intel"),
        "nobody": lambda name: False,
        "all": lambda name: True,
    }
    results = measure_by(truth, predict_all(truth, lambda image: next(following)), sets)
    assert {name: got["found"] for name, got in results.items()} == {
        "lab": 1,
        "street": 0,
        "all": 0.5,
    }


def test_joined_folders_measure_as_one(truth):
    both = join([truth, truth])
    assert len(both.names) == len(both.images) == len(both.leg) == 4
    answers = [answer(points) for points in both.persons.points]
    answers[3] = answer(both.persons.points[3] + 60)
    got = numbers(both, *answers)
    assert (got["pictures"], got["persons"]) == (4, 4)
    assert got["found"] == 0.75


def test_without_feet_only_hips_knees_and_ankles_count(truth):
    points = truth.persons.points.copy()
    points[:, 6:] += 90
    six = without_feet(truth)
    got = numbers(six, *(answer(each) for each in points))
    assert got["pck@0.05/all/all"] == got["found"] == 1
    assert np.isnan(got["pck@0.1/all/left_foot"])


def test_who_shows_only_feet_is_left_out_without_feet(truth):
    truth.persons.visibility[1, :6] = 0
    six = without_feet(truth)
    assert len(six.persons.frame) == len(six.leg) == len(six.area) == 1


def test_cocos_points_come_in_our_order(monkeypatch):
    raw = torch.arange(17.0)[None, :, None].repeat(1, 1, 3)
    found = SimpleNamespace(
        keypoints=SimpleNamespace(data=raw), boxes=SimpleNamespace(conf=torch.ones(1))
    )
    model = SimpleNamespace(predict=lambda image, **options: [found])
    monkeypatch.setattr("ultralytics.YOLO", lambda path: model)
    points, confidence, score = load_coco("coco.pt", 64)(np.zeros((8, 8, 3), np.uint8))
    assert points.shape == (1, 10, 2)
    assert points[0, :6, 0].tolist() == list(COCO)
    assert points[0, 6:, 0].tolist() == [15, 16, 15, 16]
    assert confidence.shape == (1, 10)
    assert score.tolist() == [1]


def test_the_validation_pictures_are_read_with_their_leg_lengths(shared):
    truth = read_truth(shared / "data" / "legs")
    assert len(truth.names) == 100
    assert len(truth.leg) == 122
    assert np.isfinite(truth.leg).all()
    known = truth.persons.visibility > 0
    assert np.isfinite(truth.persons.points[known]).all()
    # Whole pictures: the boxes' leg lengths are those of the points.
    points, leg = truth.persons.points, truth.leg
    sides = [
        np.linalg.norm(points[:, i] - points[:, i + 2], axis=1)
        + np.linalg.norm(points[:, i + 2] - points[:, i + 4], axis=1)
        for i in (0, 1)
    ]
    both = np.isfinite(sides[0]) & np.isfinite(sides[1])
    assert np.median(np.maximum(*sides)[both] / leg[both]) == pytest.approx(1, abs=0.01)
