import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose import legs
from weights.recipe import cutouts, transplanting
from weights.recipe.cutouts import (
    Cutout,
    Source,
    draw_source,
    find_outline,
    find_sources,
    group_walks,
)
from weights.recipe.photographs import Photographs
from weights.recipe.picture_folder import Picture, to_lines
from weights.recipe.transplanting import draw_transplant, transplant

SIZE = (240, 200)
STANDING = {
    "left_hip": (115, 40),
    "right_hip": (85, 40),
    "left_knee": (118, 120),
    "right_knee": (82, 120),
    "left_ankle": (120, 195),
    "right_ankle": (80, 195),
    "left_heel": (120, 210),
    "right_heel": (80, 210),
    "left_foot": (132, 218),
    "right_foot": (68, 218),
}
POINTS = np.array([STANDING[name] for name in legs.KEYPOINTS], float)
LEG = 155.0


def draw_body() -> np.ndarray:
    body = np.zeros(SIZE, np.uint8)
    widths = {"hip": 46, "knee": 34, "ankle": 20, "heel": 16}
    for a, b in legs.EDGES:
        width = widths.get(legs.KEYPOINTS[a].split("_")[1], 16)
        cv2.line(body, POINTS[a].astype(int), POINTS[b].astype(int), 1, width)
    cv2.line(body, (100, 0), (100, 40), 1, 60)
    return body


def write_source(folder, name: str, image: np.ndarray) -> None:
    picture = Picture(image, POINTS[None], np.full((1, 10), 2), np.array([LEG]))
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / "images" / "train" / f"{name}.jpg"), image)
    (folder / "labels" / "train" / f"{name}.txt").write_text(to_lines(picture))


@pytest.fixture
def real(tmp_path):
    """Two walks of blue legs before grey walls, and a composite."""
    rng = np.random.default_rng(3)
    folder = tmp_path / "real"
    for name in ("lab_cam1_0001_0", "lab_cam2_0001_0", "comp_00001"):
        wall = rng.normal(150, 12, (*SIZE, 3))
        cloth = np.array([140, 60, 40]) + rng.normal(0, 12, (*SIZE, 3))
        image = np.where(draw_body()[..., None] > 0, cloth, wall).clip(0, 255).astype(np.uint8)
        write_source(folder, name, image)
    config = "train: images/train\nkpt_shape: [10, 3]\nnames: {0: legs}\n"
    (folder / "data.yaml").write_text(config)
    return folder


@pytest.fixture
def backgrounds(tmp_path):
    folder = tmp_path / "backgrounds"
    folder.mkdir()
    green = np.full((300, 300, 3), (0, 255, 0), np.uint8)
    cv2.imwrite(str(folder / "green.png"), green)
    return folder


def test_an_outline_follows_the_body_and_not_the_bones(real):
    outline = find_outline(find_sources(real)[0]) > 0
    body = draw_body() > 0
    assert (outline & body).sum() / (outline | body).sum() > 0.9


def test_an_outline_does_not_depend_on_what_was_cut_out_before(shared):
    sources = find_sources(shared / "data" / "legs")
    source = next(source for source in sources if source.name.startswith("p2s2_"))
    outlines = []
    for seed in range(4):
        cv2.setRNGSeed(seed)
        outlines.append(find_outline(source))
    assert outlines[0].any()
    assert all(np.array_equal(outline, outlines[0]) for outline in outlines)


def test_an_outline_that_is_thinner_than_a_limb_is_refused(real, monkeypatch):
    path = real / "images" / "train" / "lab_cam1_0001_0.jpg"
    image = cv2.imread(str(path))
    # The thighs wear what the wall wears, but for a stripe along the bone.
    image[50:110] = np.random.default_rng(0).normal(150, 12, image[50:110].shape)
    for a, b in ((0, 2), (1, 3)):
        cv2.line(image, POINTS[a].astype(int), POINTS[b].astype(int), (140, 60, 40), 3)
    cv2.imwrite(str(path), image)
    monkeypatch.setattr(cutouts, "_BONE", 0.03)
    assert not find_outline(find_sources(real)[0]).any()


def test_people_keep_their_points_and_lose_their_place(real, backgrounds, tmp_path, monkeypatch):
    monkeypatch.setattr(transplanting, "_SHARES", dict.fromkeys(transplanting._SHARES, 0.0))
    monkeypatch.setattr("weights.recipe.scenery._ROOM_SHARE", 1.0)
    out = tmp_path / "out"
    assert transplant([real], out, 4, backgrounds=backgrounds, seed=2) == 4
    body = cv2.erode(draw_body(), np.ones((7, 7))) > 0
    place = cv2.dilate(draw_body(), np.ones((25, 25))) == 0
    for path in sorted((out / "images" / "train").iterdir()):
        image = cv2.imread(str(path)).astype(int)
        # The room is green all over; shadows make it darker, never another colour.
        assert (image[place][:, 1] > image[place][:, [0, 2]].max(axis=1) + 60).mean() > 0.98
        assert (image[body][:, 1] > image[body][:, [0, 2]].max(axis=1) + 60).mean() < 0.05
    poses = [pose for frame in read_yolo_pose(out).frames.values() for pose in frame.poses]
    assert len(poses) == 4
    for pose in poses:
        assert np.abs(pose.points - POINTS).max() < 0.5
        assert (pose.visibility == 2).all()


def test_transplant_goes_on_where_it_stopped(real, backgrounds, tmp_path):
    out = tmp_path / "out"
    assert transplant([real], out, 2, backgrounds=backgrounds) == 2
    outlines = sorted((out / "outlines" / "real").iterdir())
    # A composite is no source: its people were cut out once already.
    assert [path.stem for path in outlines] == ["lab_cam1_0001_0", "lab_cam2_0001_0"]
    kept = outlines[0].stat().st_mtime_ns
    assert transplant([real], out, 3, backgrounds=backgrounds, processes=2) == 1
    assert outlines[0].stat().st_mtime_ns == kept
    assert transplant([real], out, 3, backgrounds=backgrounds) == 0


def test_who_stands_in_front_hides_the_other_and_nobody_is_lost(monkeypatch):
    body = draw_body().astype(np.float32)
    image = np.full((*SIZE, 3), 90, np.uint8)
    cutout = Cutout(image, POINTS[None], np.full((1, 10), 2), np.array([LEG]), body)
    monkeypatch.setitem(transplanting._SHARES, "second", 1.0)
    walks = [[[SimpleNamespace(load=lambda: cutout)]]]
    drawn = [
        draw_transplant(walks, Photographs(), np.random.default_rng(seed)) for seed in range(20)
    ]
    pairs = [picture for picture in drawn if len(picture.points) == 2]
    assert len(pairs) > 5
    hidden = [int((picture.visibility == 1).sum()) for picture in pairs]
    assert max(hidden) > 0
    for picture in pairs:
        # The last one stands in front: nothing hides her.
        assert (picture.visibility[1] != 1).all()
        inside = ((picture.points >= 0) & (picture.points < SIZE[::-1])).all(axis=-1)
        assert ((picture.visibility > 0) == inside).all()


def test_a_folder_without_people_is_named(real, backgrounds, tmp_path):
    for path in real.rglob("lab_*"):
        path.unlink()
    with pytest.raises(ValueError, match=r"real holds no pictures of people in images/train"):
        transplant([real], tmp_path / "out", 1, backgrounds=backgrounds)


def test_pictures_of_which_nobody_can_be_cut_out_end_with_where_to_look(
    real, backgrounds, tmp_path
):
    out = tmp_path / "out"
    transplant([real], out, 1, backgrounds=backgrounds)
    for path in (out / "outlines" / "real").iterdir():
        cv2.imwrite(str(path), np.zeros(SIZE, np.uint8))
    with pytest.raises(ValueError, match="outlines"):
        transplant([real], out, 2, backgrounds=backgrounds)


def test_what_cannot_be_read_is_named_before_anybody_is_cut_out(real, backgrounds, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        transplant([real], out, 1, backgrounds=tmp_path / "nowhere")
    assert not out.exists()
    transplant([real], out, 1, backgrounds=backgrounds)
    torn = out / "outlines" / "real" / "lab_cam1_0001_0.png"
    torn.write_bytes(torn.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"lab_cam1_0001_0\.png is no picture: mend or delete it"):
        transplant([real], out, 2, backgrounds=backgrounds)


def test_a_picture_of_nobody_is_left_out(real, backgrounds, tmp_path):
    (real / "labels" / "train" / "lab_cam1_0001_0.txt").write_text("")
    out = tmp_path / "out"
    assert transplant([real], out, 1, backgrounds=backgrounds) == 1
    assert [path.stem for path in (out / "outlines" / "real").iterdir()] == ["lab_cam2_0001_0"]


def test_a_point_that_is_cut_off_stays_so(real, backgrounds, tmp_path, monkeypatch):
    monkeypatch.setitem(transplanting._SHARES, "second", 1.0)
    for path in (real / "labels" / "train").iterdir():
        path.write_text(" ".join([*path.read_text().split()[:-3], "0 0 0"]) + "\n")
    out = tmp_path / "out"
    assert transplant([real], out, 6, backgrounds=backgrounds) == 6
    poses = [pose for frame in read_yolo_pose(out).frames.values() for pose in frame.poses]
    assert len(poses) > 6
    assert all(pose.visibility[9] == 0 for pose in poses)


def test_every_folder_is_shown_as_often_as_the_others_and_every_walk_of_it(real, tmp_path):
    many = tmp_path / "many"
    shutil.copytree(real, many)
    for i in range(9):
        write_source(many, f"photo_{i:04x}", np.full((*SIZE, 3), 200, np.uint8))
    outlines = tmp_path / "outlines"
    outlines.mkdir()
    cv2.imwrite(str(outlines / "body.png"), 255 * draw_body())
    sources = [
        [Source(frame, outlines / "body.png") for frame in find_sources(folder)]
        for folder in (real, many)
    ]
    walks = group_walks(sources)
    assert [len(folder) for folder in walks] == [2, 11]
    rng = np.random.default_rng(0)
    drawn = [draw_source(walks, rng).frame.image for _ in range(400)]
    assert np.mean([str(real) + "/" in image for image in drawn]) == pytest.approx(0.5, abs=0.08)


def test_frames_of_one_walk_are_one_and_photographs_are_not(real):
    (real / "labels" / "train" / "lab_cam1_0002_0.txt").write_text("")
    for name in ("lab_cam1_0007_0", "lab_cam1_0008_1", "ccp_00aa"):
        write_source(real, name, np.full((*SIZE, 3), 200, np.uint8))
    outline = real / "images" / "train" / "ccp_00aa.jpg"
    (walks,) = group_walks([[Source(frame, outline) for frame in find_sources(real)]])
    assert sorted(len(walk) for walk in walks) == [1, 1, 3]


def test_two_folders_of_one_name_are_refused_before_outlines_are_mixed(real, backgrounds, tmp_path):
    with pytest.raises(ValueError, match="have the same name: rename one"):
        transplant([real, real], tmp_path / "out", 1, backgrounds=backgrounds)
