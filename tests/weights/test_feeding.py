import random

import cv2
import numpy as np
import pytest

from cvat_bridge.errors import FormatError
from cvat_bridge.pose_sets import Frame, PoseSet
from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import write_yolo_pose
from fiftyone_legpose import legs
from weights.recipe import feeding
from weights.recipe.feeding import (
    Labelled,
    Views,
    draw_view,
    put_together,
    read_labelled,
    recolor,
    to_targets,
)
from weights.recipe.picture_folder import FEWEST_POINTS

SIDE = 96


@pytest.fixture
def picture() -> Labelled:
    """Each keypoint is a dot, the left leg's bright and the right one's dark."""
    image = np.full((120, 160, 3), 128, np.uint8)
    points = np.stack([np.linspace(40, 120, 10), np.linspace(20, 100, 10)], axis=1)
    for k, (x, y) in enumerate(points):
        cv2.circle(image, (round(x), round(y)), 4, (255,) * 3 if k % 2 == 0 else (0,) * 3, -1)
    return Labelled(image, points[None], np.full((1, 10), 2))


def test_a_view_moves_points_with_the_picture_and_keeps_their_sides(picture):
    mirrored = 0
    for seed in range(60):
        view = draw_view(picture, SIDE, np.random.default_rng(seed))
        assert view.image.shape == (SIDE, SIDE, 3)
        if not len(view.points):
            continue
        # In the picture hip to foot runs to the right; it does not in a mirrored one.
        shown = view.visibility[0] > 0
        mirrored += view.points[0, 8, 0] < view.points[0, 0, 0]
        for k in np.flatnonzero(shown):
            x, y = view.points[0, k].astype(int)
            if not (2 <= x < SIDE - 2 and 2 <= y < SIDE - 2):
                continue
            # A mirrored left leg is a right one.
            left = (k % 2 == 0) != (view.points[0, 8, 0] < view.points[0, 0, 0])
            assert (view.image[y, x].mean() > 128) == left
    assert 15 < mirrored < 45


def test_points_stay_where_they_are_to_a_fraction_of_a_pixel():
    side, spots = 128, np.array([(60.0, 44.0), (100.0, 44.0), (80.0, 84.0)])
    y, x = np.mgrid[:120, :160] + 0.5  # the middle of each pixel, counted from the edge
    light = sum(np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18) for u, v in spots)
    points = np.resize(spots, (1, 10, 2))
    picture = Labelled(
        np.repeat((light * 255).astype(np.uint8)[..., None], 3, axis=2), points, np.full((1, 10), 2)
    )
    off = {False: [], True: []}
    for seed in range(200):
        view = draw_view(picture, side, np.random.default_rng(seed))
        if not len(view.points) or not (view.visibility > 0).all():
            continue
        # The third keypoint is the low spot, its mirror image is not.
        mirrored = view.points[0, 2, 1] - view.points[0, 0, 1] < 15
        light = np.where((view.image == feeding._GREY).all(axis=-1), 0.0, view.image[..., 0])
        v, u = np.mgrid[:side, :side] + 0.5
        for spot in view.points[0, :4]:
            near = light * (np.hypot(u - spot[0], v - spot[1]) < 9)
            if near.sum() > 500:
                center = np.array([(near * u).sum(), (near * v).sum()]) / near.sum()
                off[bool(mirrored)].append(center - spot)
    assert min(map(len, off.values())) > 20
    for side_off in off.values():
        assert np.abs(np.mean(side_off, axis=0)).max() < 0.15


def test_points_outside_are_cut_off_and_who_has_too_few_is_left_out(picture):
    seen = {"all": 0, "some": 0, "none": 0}
    for seed in range(200):
        view = draw_view(picture, SIDE, np.random.default_rng(seed))
        count = int((view.visibility > 0).sum())
        assert count == 0 or count >= FEWEST_POINTS
        inside = ((view.points >= 0) & (view.points < SIDE)).all(axis=-1)
        assert np.array_equal(view.visibility > 0, inside)
        seen["all" if count == 10 else "some" if count else "none"] += 1
    assert seen["all"]
    assert seen["some"]


def test_a_view_can_be_repeated_and_leaves_the_picture_alone(picture):
    before = picture.image.copy()
    one, two = (draw_view(picture, SIDE, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.points, two.points)
    assert np.array_equal(picture.image, before)


def test_four_views_make_one_and_each_person_stays_in_her_corner(picture):
    half = SIDE // 2
    views = [
        Labelled(np.full((half, half, 3), i, np.uint8), picture.points, picture.visibility)
        for i in range(4)
    ]
    whole = put_together(views, half)
    assert whole.image.shape == (SIDE, SIDE, 3)
    assert [int(whole.image[y, x, 0]) for y in (0, -1) for x in (0, -1)] == [0, 1, 2, 3]
    shift = whole.points - picture.points
    assert np.array_equal(shift[:, 0], [(0, 0), (half, 0), (0, half), (half, half)])


def test_other_colours_leave_shapes(picture):
    rng = np.random.default_rng(0)
    gray = cv2.cvtColor(picture.image, cv2.COLOR_BGR2GRAY)
    for _ in range(30):
        changed = recolor(picture.image, rng)
        assert changed.shape == picture.image.shape
        assert changed.dtype == np.uint8
        assert changed[gray == 255].min() > changed[gray == 0].max()


def test_targets_are_shares_with_boxes_around_the_visible_points():
    points = np.zeros((1, 10, 2))
    points[0, :4] = [(20, 10), (60, 10), (20, 50), (60, 90)]
    visibility = np.array([[2, 1, 2, 2, 0, 0, 0, 0, 0, 0]])
    boxes, keypoints = to_targets(Labelled(np.zeros((100, 100, 3), np.uint8), points, visibility))
    margin = feeding.BOX_MARGIN * 80
    expected = [0.4, (max(0, 10 - margin) + 90 + margin) / 200, (40 + 2 * margin) / 100]
    assert boxes[0, :3] == pytest.approx(expected)
    assert keypoints[0, 1].tolist() == pytest.approx([0.6, 0.1, 1])
    assert not keypoints[0, 4:].any()


def test_a_picture_of_nobody_has_no_targets():
    nobody = Labelled(np.zeros((50, 50, 3), np.uint8), np.zeros((0, 10, 2)), np.zeros((0, 10)))
    boxes, keypoints = to_targets(nobody)
    assert boxes.shape == (0, 4)
    assert keypoints.shape == (0, 10, 3)


def test_views_can_be_repeated(picture):
    nobody = Labelled(picture.image, np.zeros((0, 10, 2)), np.zeros((0, 10), int))
    views = Views([picture, nobody], SIDE)
    drawn = []
    for _ in range(2):
        random.seed(0)
        drawn.append([views[i % 2] for i in range(20)])
    for one, two in zip(*drawn, strict=True):
        assert one["img"].shape == (3, SIDE, SIDE)
        assert all((one[key] == two[key]).all() for key in one)
        assert (
            len(one["bboxes"]) == len(one["keypoints"]) == len(one["cls"]) == len(one["batch_idx"])
        )
    assert max(len(view["bboxes"]) for view in drawn[0]) >= 1


def test_pictures_are_kept_no_finer_than_views_need(picture, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture.image)
    frames = {
        "a": Frame(
            "a",
            [Pose(picture.points[0], picture.visibility[0])],
            (160, 120),
            "train",
            str(tmp_path / "a.png"),
        ),
        "b": Frame("b", [], (160, 120), "train", str(tmp_path / "a.png")),
    }
    pose_set = PoseSet(("legs",), 10, frames, legs.KEYPOINTS, legs.FLIP_INDEX)
    write_yolo_pose(tmp_path / "set", pose_set, flavour="ultralytics", include_images=True)
    whole, nobody = read_labelled(tmp_path / "set", SIDE * 4)
    assert whole.image.shape == (120, 160, 3)
    assert np.allclose(whole.points, picture.points, atol=0.01)
    assert nobody.points.shape == (0, 10, 2)
    small, _ = read_labelled(tmp_path / "set", 40)
    assert small.image.shape[1] == 56
    assert np.allclose(small.points, picture.points * 56 / 160, atol=0.3)
    next((tmp_path / "set").rglob("a.png")).write_bytes(b"torn")
    with pytest.raises(FormatError, match=r"a\.png is not a picture"):
        read_labelled(tmp_path / "set", SIDE)
