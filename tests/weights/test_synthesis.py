import numpy as np
import pytest

from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose import legs
from weights.recipe.mesh import load_mesh
from weights.recipe.posture import Posture
from weights.recipe.skinning import pose_body
from weights.recipe.synthesis import draw_picture, synthesize


@pytest.fixture(scope="module")
def mesh_folder(shared):
    return shared / "data" / "pack" / "mh"


@pytest.fixture(scope="module")
def mesh(mesh_folder):
    return load_mesh(mesh_folder)


def upright(**angles) -> Posture:
    zero = {name: np.zeros(2) for name in Posture.__dataclass_fields__ if name != "trunk_lean"}
    return Posture(**{**zero, "trunk_lean": 0.0, **angles})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"base\.obj"):
        load_mesh(tmp_path)


def test_an_upright_body_has_its_keypoints_where_they_belong(mesh):
    points = pose_body(mesh, mesh.vertices, upright()).keypoints
    named = dict(zip(legs.KEYPOINTS, points, strict=True))
    for side, sign in (("left", 1), ("right", -1)):
        hip, knee, ankle, heel, foot = (
            named[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle", "heel", "foot")
        )
        assert sign * hip[0] > 0
        assert hip[1] > knee[1] > ankle[1] > heel[1]
        assert foot[2] > ankle[2] > heel[2]
        assert np.allclose(hip[0], ankle[0], atol=0.01)  # the rest pose's spread is taken out


def test_joints_bend_the_way_joints_do(mesh):
    standing = pose_body(mesh, mesh.vertices, upright()).keypoints
    bend = np.array([0.5, 0.0])
    kick = pose_body(mesh, mesh.vertices, upright(hip_flexion=bend)).keypoints
    heel_up = pose_body(mesh, mesh.vertices, upright(knee_flexion=bend)).keypoints
    toe_up = pose_body(mesh, mesh.vertices, upright(ankle_dorsiflexion=bend)).keypoints
    apart = pose_body(mesh, mesh.vertices, upright(hip_abduction=bend)).keypoints
    left = {name: i for i, name in enumerate(legs.KEYPOINTS) if name.startswith("left")}
    assert kick[left["left_knee"], 2] > standing[left["left_knee"], 2] + 0.1
    assert heel_up[left["left_ankle"], 2] < standing[left["left_ankle"], 2] - 0.1
    assert toe_up[left["left_foot"], 1] > standing[left["left_foot"], 1] + 0.05
    assert apart[left["left_ankle"], 0] > standing[left["left_ankle"], 0] + 0.2
    right = [i for i, name in enumerate(legs.KEYPOINTS) if name.startswith("right")]
    assert np.allclose(kick[right], standing[right])


def test_the_same_generator_draws_the_same_picture(mesh):
    once, again = (draw_picture(mesh, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(once.image, again.image)
    assert np.array_equal(once.visibility, again.visibility)
    height, width = once.image.shape[:2]
    seen = once.points[once.visibility > 0]
    assert ((seen >= 0) & (seen < (width, height))).all()
    assert (once.visibility[0] > 0).sum() >= 4


def test_synthesize_goes_on_where_it_stopped(mesh_folder, tmp_path):
    assert synthesize(mesh_folder, tmp_path, 2, seed=7) == 2
    first = sorted((tmp_path / "images" / "train").iterdir())
    first[1].unlink()
    kept = first[0].stat().st_mtime_ns
    assert synthesize(mesh_folder, tmp_path, 3, seed=7, processes=2) == 2
    pictures = sorted((tmp_path / "images" / "train").iterdir())
    assert len(pictures) == 3
    assert pictures[0].stat().st_mtime_ns == kept
    assert synthesize(mesh_folder, tmp_path, 3, seed=7) == 0


def test_the_folder_is_a_yolo_pose_dataset_whose_boxes_hold_the_points(mesh_folder, tmp_path):
    synthesize(mesh_folder, tmp_path, 2, seed=8)
    dataset = read_yolo_pose(tmp_path)
    assert dataset.keypoint_names == legs.KEYPOINTS
    assert len(dataset.frames) == 2
    for frame in dataset.frames.values():
        assert frame.poses
        assert frame.boxes is not None
        for pose, (x1, y1, x2, y2) in zip(frame.poses, frame.boxes, strict=True):
            seen = pose.points[pose.visibility > 0]
            assert ((seen >= (x1 - 1, y1 - 1)) & (seen <= (x2 + 1, y2 + 1))).all()


def test_pictures_hold_one_to_three_people_and_some_end_above_the_feet(mesh):
    pictures = [draw_picture(mesh, np.random.default_rng([3, i])) for i in range(40)]
    assert {len(picture.points) for picture in pictures} == {1, 2, 3}
    feet = [i for i, name in enumerate(legs.KEYPOINTS) if name.endswith(("heel", "foot"))]
    knees = [i for i, name in enumerate(legs.KEYPOINTS) if name.endswith("knee")]
    cut = [
        (picture.visibility[0, feet] == 0).all() and (picture.visibility[0, knees] > 0).all()
        for picture in pictures
    ]
    assert 1 <= sum(cut) <= 12


def test_some_stand_close_to_the_camera_and_are_cut_off_at_the_knees(mesh):
    pictures = [draw_picture(mesh, np.random.default_rng([5, i])) for i in range(40)]
    shins = [i for i, name in enumerate(legs.KEYPOINTS) if not name.endswith(("hip", "knee"))]
    close = [
        (visibility[shins] == 0).all() and leg > 1.3 * picture.leg_lengths[0]
        for picture in pictures
        for visibility, leg in zip(picture.visibility[1:], picture.leg_lengths[1:], strict=True)
    ]
    assert 1 <= sum(close) < len(close) / 2
