"""OKS, AP, PCK, swaps and calibration against other implementations and against known answers."""

import numpy as np
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.evaluation import comparison, intervals, metrics
from fiftyone_legpose.evaluation.metrics import Persons
from fiftyone_legpose.pose import geometry

STANDING = np.array(
    [
        (160, 40), (120, 40), (165, 150), (115, 150), (168, 260), (112, 260),
        (160, 275), (120, 275), (185, 285), (95, 285),
    ],
    float,
)  # fmt: skip


def persons(frames, points, *, visibility=2, score=np.nan, confidence=np.nan) -> Persons:
    points = np.asarray(points, float)
    shape = points.shape[:2]
    return Persons(
        frame=np.asarray(frames, int),
        points=points,
        visibility=np.broadcast_to(visibility, shape).copy(),
        confidence=np.broadcast_to(confidence, shape).astype(float),
        score=np.broadcast_to(score, len(points)).astype(float),
    )


@pytest.fixture
def noisy() -> tuple[Persons, Persons]:
    """200 frames with 0 to 2 persons, and predictions that miss, double and wander."""
    rng = np.random.default_rng(3)
    frames, poses = [], []
    for frame in range(200):
        for _ in range(rng.integers(0, 3)):
            frames.append(frame)
            poses.append(STANDING * rng.uniform(0.5, 2) + rng.uniform(0, 400, 2))
    truth = persons(frames, poses, visibility=rng.integers(0, 3, (len(poses), 10)))
    kept = np.flatnonzero(rng.random(len(poses)) < 0.9)
    kept = np.sort(np.concatenate([kept, rng.choice(kept, 20)]))
    spread = rng.gamma(2, 6, (len(kept), 1, 1))
    moved = np.asarray(poses)[kept] + rng.normal(0, 1, (len(kept), 10, 2)) * spread
    score = rng.random(len(kept))
    return truth, persons(np.asarray(frames)[kept], moved, score=score)


def test_oks_agrees_with_the_coco_evaluator(noisy):
    from faster_coco_eval import COCO, COCOeval_faster

    truth, predicted = noisy
    area = geometry.areas(truth.points, truth.visibility)
    categories = [{"id": 1, "name": "legs", "keypoints": list(legs.KEYPOINTS), "skeleton": []}]

    def rows(side):
        for i in range(len(side.frame)):
            triples = np.column_stack([side.points[i], side.visibility[i]]).ravel().tolist()
            yield {"image_id": int(side.frame[i]), "category_id": 1, "keypoints": triples}, i

    annotations = [
        row
        | {
            "id": i + 1,
            "area": area[i],
            "bbox": [0, 0, 1, 1],
            "iscrowd": 0,
            "num_keypoints": int((truth.visibility[i] > 0).sum()),
        }
        for row, i in rows(truth)
    ]
    images = [{"id": i, "width": 1, "height": 1} for i in range(200)]
    coco = COCO(
        {"info": {}, "images": images, "categories": categories, "annotations": annotations}
    )
    found = coco.loadRes([row | {"score": float(predicted.score[i])} for row, i in rows(predicted)])
    evaluator = COCOeval_faster(coco, found, "keypoints", kpt_oks_sigmas=np.array(legs.SIGMAS))
    evaluator.evaluate()

    for frame in range(200):
        t, p = truth.frame == frame, np.flatnonzero(predicted.frame == frame)
        expected = evaluator.ious[frame, 1]
        if not t.any() or not len(p):
            continue
        p = p[np.argsort(-predicted.score[p], kind="mergesort")]
        got = geometry.oks(truth.points[t], truth.visibility[t], area[t], predicted.points[p])
        labelled = (truth.visibility[t] > 0).any(axis=1)
        np.testing.assert_allclose(got.T[:, labelled], expected[:, labelled], atol=1e-6)


def test_weighted_average_precision_is_the_librarys(noisy):
    truth, predicted = noisy
    expected = metrics.coco_average_precision(truth, predicted)
    got = comparison.summarize(comparison.compare(truth, predicted), np.zeros(200, int))
    assert 0.2 < expected["ap50_95"] < expected["ap50"] < 0.95
    assert got["ap50"][0] == pytest.approx(expected["ap50"], abs=1e-6)
    assert got["ap50_95"][0] == pytest.approx(expected["ap50_95"], abs=1e-6)


def test_a_weight_of_two_is_the_group_twice(noisy):
    truth, predicted = noisy
    group = np.arange(200) // 50
    weights = np.array([[2.0, 0, 1, 1]])
    got = comparison.summarize(comparison.compare(truth, predicted), group, weights)

    def twice(side):
        pieces = [(0, 0), (0, 200), (2, 0), (3, 0)]
        picks = [np.flatnonzero(side.frame // 50 == g) for g, _ in pieces]
        rows = np.concatenate(picks)
        frame = np.concatenate(
            [side.frame[p] + shift for p, (_, shift) in zip(picks, pieces, strict=True)]
        )
        return Persons(
            frame, side.points[rows], side.visibility[rows], side.confidence[rows], side.score[rows]
        )

    doubled = comparison.compare(twice(truth), twice(predicted))
    expected = comparison.summarize(doubled, np.zeros(250, int))
    for name in set(got) - {"spare"}:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-9, err_msg=name)


def test_perfect_predictions_are_perfect(noisy):
    truth, _ = noisy
    copy = persons(truth.frame, truth.points, score=0.9, confidence=1.0)
    result = comparison.summarize(comparison.compare(truth, copy), np.zeros(200, int))
    for name in ("ap50", "ap50_95", "oks", "found", "pck@0.05/all/all"):
        assert result[name][0] == pytest.approx(1), name
    for name in ("missed", "spare", "calibration", "swapped/all", "p95_px/all/all"):
        assert result[name][0] == pytest.approx(0), name


def test_one_displaced_joint_shows_in_that_joint_alone():
    moved = STANDING.copy()
    moved[2, 0] += 5
    result = comparison.summarize(
        comparison.compare(persons([0], [STANDING]), persons([0], [moved])), np.zeros(1, int)
    )
    errors = {k: result[f"median_px/all/{k}"][0] for k in legs.KEYPOINTS}
    assert errors.pop("left_knee") == pytest.approx(5)
    assert set(errors.values()) == {0.0}
    leg = geometry.leg_length(STANDING[None], np.full((1, 10), 2))[0]
    assert result["median_leg/all/left_knee"][0] == pytest.approx(5 / leg)


def test_a_swapped_person_is_found_with_wrong_points():
    swapped = STANDING[list(legs.FLIP_INDEX)]
    compared = comparison.compare(persons([0], [STANDING]), persons([0], [swapped]))
    assert compared.match.tolist() == [0]
    result = comparison.summarize(compared, np.zeros(1, int))
    assert result["swapped/all"][0] == 1
    assert result["swapped/ankle"][0] == 1
    assert result["spare"][0] == 0


def test_only_the_exchanged_pair_counts_as_swapped():
    swapped = STANDING.copy()
    swapped[[4, 5]] = swapped[[5, 4]]
    compared = comparison.compare(persons([0], [STANDING]), persons([0], [swapped]))
    assert compared.swapped.tolist() == [[0, 0, 1, 0, 0]]


def test_both_points_on_one_leg_are_wrong_and_not_swapped():
    doubled = STANDING.copy()
    doubled[5] = doubled[4]
    compared = comparison.compare(persons([0], [STANDING]), persons([0], [doubled]))
    assert compared.swapped.tolist() == [[0, 0, 0, 0, 0]]


def test_crossing_legs_are_not_judged_for_swaps():
    crossing = STANDING.copy()
    crossing[5] = crossing[4] + (3, 0)
    compared = comparison.compare(persons([0], [crossing]), persons([0], [crossing]))
    assert np.isnan(compared.swapped[0, 2])
    assert compared.swapped[0, 1] == 0


def test_missed_and_spare_persons_are_counted():
    truth = persons([0, 1], [STANDING, STANDING + 300])
    predicted = persons([0, 0, 2], [STANDING, STANDING + 500, STANDING], score=[0.9, 0.8, 0.1])
    compared = comparison.compare(truth, predicted)
    result = comparison.summarize(compared, np.zeros(3, int))
    assert result["found"][0] == 0.5
    assert result["missed"][0] == 0.5
    assert result["spare"][0] == pytest.approx(1 / 3)  # the third is under min_score
    assert result["pck@0.2/all/all"][0] == 0.5
    assert result["median_px/all/all"][0] == 0


def test_visible_and_occluded_points_are_told_apart():
    visibility = np.full((1, 10), 2)
    visibility[0, [1, 3]] = 1
    visibility[0, 5] = 0
    moved = STANDING.copy()
    moved[[1, 3]] += (0, 8)
    moved[5] += (0, 100)
    compared = comparison.compare(
        persons([0], [STANDING], visibility=visibility), persons([0], [moved])
    )
    result = comparison.summarize(compared, np.zeros(1, int))
    assert result["median_px/occluded/all"][0] == 8
    assert result["median_px/visible/all"][0] == 0
    assert np.isnan(result["median_px/all/right_ankle"][0])
    assert np.isnan(compared.error).tolist() == [[k == 5 for k in range(10)]]


def test_leg_length_is_the_longer_side_and_fills_from_the_track():
    poses = np.stack([STANDING, STANDING, STANDING * 2, STANDING])
    visibility = np.full((4, 10), 2)
    poses[0, 4] += (0, 30)  # the left leg is longer
    visibility[1, [0, 1]] = 0
    visibility[3, [0, 1]] = 0
    poses[visibility == 0] = np.nan
    lengths = geometry.leg_length(poses, visibility)
    thigh, shank = np.hypot(5, 110), np.hypot(3, 140)
    assert lengths[0] == pytest.approx(thigh + shank)
    assert np.isnan(lengths[1])
    filled = geometry.fill_leg_length(
        lengths, poses, visibility, np.array([7, 7, 8, -1]), np.zeros(4, int)
    )
    assert filled[1] == pytest.approx(lengths[0])
    assert filled[3] == pytest.approx(np.median(lengths[[0, 2]]))


def test_a_thigh_alone_has_an_area():
    visibility = np.zeros((1, 10), int)
    visibility[0, [0, 2]] = 2
    upright = np.full((1, 10, 2), np.nan)
    upright[0, [0, 2]] = (100, 40), (100, 140)
    assert geometry.areas(upright, visibility)[0] == pytest.approx(0.53 * 100 * 25)


def test_predictions_without_persons_and_persons_without_predictions():
    nobody = persons([], np.empty((0, 10, 2)))
    somebody = persons([0], [STANDING], score=0.9)
    blind = comparison.summarize(comparison.compare(somebody, nobody), np.zeros(1, int))
    assert blind["found"][0] == 0
    assert blind["ap50"][0] == 0 == metrics.coco_average_precision(somebody, nobody)["ap50"]
    assert np.isnan(blind["median_px/all/all"][0])
    ghosts = comparison.summarize(comparison.compare(nobody, somebody), np.zeros(2, int))
    assert ghosts["spare"][0] == 0.5
    assert np.isnan(ghosts["ap50"][0])


def test_calibration_finds_an_overconfident_model():
    confidence = np.repeat([0.95, 0.25], 100)
    correct = np.arange(200) % 100 < 25
    bins = metrics.calibration(confidence, correct)
    assert bins["count"].tolist() == [0, 0, 100, 0, 0, 0, 0, 0, 0, 100]
    assert bins["correct"][9] == pytest.approx(0.25)
    assert bins["confidence"][2] == pytest.approx(0.25)


def test_auc_agrees_with_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 20, 500) / 20, rng.random(500) < 0.3
    assert metrics.auc(score, positive) == pytest.approx(roc_auc_score(positive, score))
    assert np.isnan(metrics.auc(score, np.ones(500, bool)))


def test_resamples_draw_as_many_groups_and_repeat_with_a_seed():
    drawn = intervals.resample(7, 50, seed=1)
    assert (drawn.sum(axis=1) == 7).all()
    assert (drawn == intervals.resample(7, 50, seed=1)).all()
    assert intervals.interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))
