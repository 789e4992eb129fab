import csv
import subprocess
import sys

import cv2
import numpy as np
import pytest

from cvat_bridge.yolo_pose import read_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.errors import NothingLoadedError, WeightsError
from weights.recipe.agreement import Agreed, Seen, agree
from weights.recipe.labelling import DISAGREEMENTS, label, load_finder
from weights.recipe.shipping import WEIGHTS

SIZE = (400, 600)
STANDING = {
    "left_hip": (20, 0),
    "right_hip": (-20, 0),
    "left_knee": (20, 80),
    "right_knee": (-20, 80),
    "left_ankle": (20, 160),
    "right_ankle": (-20, 160),
    "left_heel": (20, 170),
    "right_heel": (-20, 170),
    "left_foot": (35, 175),
    "right_foot": (-35, 175),
}
LEGS = np.array([STANDING[name] for name in legs.KEYPOINTS], float)
LEG = 160.0
NOBODY = (np.zeros((0, 10, 2)), np.zeros((0, 10)), np.zeros(0))


def standing(x: float, y: float = 200.0) -> np.ndarray:
    return LEGS + (x, y)


def seen(points: np.ndarray) -> Seen:
    low, high = points.min(axis=0) - (10, 180), points.max(axis=0) + 10
    return Seen(np.concatenate([low, high]), points[:6].copy())


def answer(points: np.ndarray, confidence: float = 0.9) -> tuple:
    return points[None], np.full((1, 10), confidence), np.ones(1)


def write_people(folder, *people: float):
    """Write a picture of people: a grey column, brightest at the left of the person's box."""
    folder.mkdir(exist_ok=True)
    image = np.full((*SIZE, 3), 90, np.uint8)
    for x in people:
        low, high = seen(standing(x)).box.reshape(2, 2).astype(int)
        image[low[1] : high[1], low[0] : high[0]] = 200
    path = folder / f"people{len(list(folder.iterdir()))}.png"
    cv2.imwrite(str(path), image)
    return path


def find_columns(image: np.ndarray) -> list[Seen]:
    columns = np.flatnonzero(np.diff(np.r_[0, (image[150, :, 0] > 150).astype(int), 0]))
    return [seen(standing((a + b) / 2)) for a, b in columns.reshape(-1, 2)]


class Look:
    """A second teacher who says what the first one said, or as told."""

    def __init__(self, **moved: tuple[float, float]):
        self.moved, self.calls = moved, 0

    def __call__(self, crops):
        self.calls += 1
        answers = []
        for number, crop in enumerate(crops):
            bright = (crop[crop.shape[0] // 4, :, 0] > 150).astype(int)
            edges = np.flatnonzero(np.diff(np.r_[0, bright, 0])).reshape(-1, 2)
            # A crop is as high as the picture; whom it is of is nearest to its middle.
            scale = crop.shape[0] / SIZE[0]
            middle = min(edges.mean(axis=1), key=lambda x: abs(x - crop.shape[1] / 2))
            points = standing(0) * scale + (middle, 0)
            if number % 2:
                # A mirrored person who faces the camera is one whose sides are where they were.
                for name, move in self.moved.items():
                    points[legs.KEYPOINTS.index(name)] += np.array(move) * scale
            answers.append(answer(points))
        return answers


def labels(out):
    frames = read_yolo_pose(out, subset="train").frames
    return {name: frame.poses for name, frame in sorted(frames.items())}


def rows(out):
    with (out / DISAGREEMENTS).open() as file:
        return list(csv.DictReader(file))


def test_two_teachers_who_say_the_same_make_a_label():
    points = standing(100)
    got = agree(seen(points), answer(points), answer(points + 2))
    assert isinstance(got, Agreed)
    assert got.leg_px == pytest.approx(LEG)
    assert (got.visibility == 2).all()
    # Hips, heels and feet are BlazePose's; knees and ankles two parts of it, one of the other.
    assert np.allclose(got.points[[0, 1, 6, 7, 8, 9]], (points + 1)[[0, 1, 6, 7, 8, 9]])
    assert np.allclose(got.points[2:6], (points + 2 / 3)[2:6])


def test_points_that_blazepose_is_not_sure_of_are_hidden():
    points = standing(100)
    got = agree(seen(points), answer(points, 0.2), answer(points, 0.4))
    assert isinstance(got, Agreed)
    assert (got.visibility == 1).all()


@pytest.mark.parametrize(
    ("point", "share", "says"),
    [
        ("left_hip", 0.18, "hip 0.18 leg lengths apart"),
        ("left_hip", 0.14, None),
        ("right_knee", 0.12, "right_knee 0.12"),
        ("left_ankle", 0.1, "left_ankle 0.10"),
        ("left_ankle", 0.08, None),
    ],
)
def test_a_point_that_the_teachers_put_apart_is_named(point, share, says):
    points = standing(100)
    other = seen(points)
    other.points[legs.KEYPOINTS.index(point), 0] += share * LEG
    got = agree(other, answer(points), answer(points))
    assert isinstance(got, Agreed) if says is None else says in got


def test_a_mirror_image_that_is_seen_otherwise_is_no_label():
    points = standing(100)
    moved = points.copy()
    moved[8] += (0.1 * LEG, 0)
    assert "left_foot 0.10 leg lengths otherwise" in agree(
        seen(points), answer(points), answer(moved)
    )
    assert "0.05 leg lengths off" in agree(
        seen(points), answer(points), answer(points + (0.05 * LEG, 0))
    )
    # Whose sides change in the mirror is seen otherwise too.
    flipped = points[list(legs.FLIP_INDEX)]
    assert "otherwise" in agree(seen(points), answer(points), answer(flipped))
    assert agree(seen(points), NOBODY, answer(points)) == "BlazePose sees nobody"
    tiny = standing(0) * 0.3
    assert "48 px long" in agree(seen(tiny), answer(tiny), answer(tiny))


def test_legs_are_cut_at_the_waist_and_labelled(tmp_path):
    write_people(tmp_path / "footage", 150.0)
    done = label([tmp_path / "footage"], tmp_path / "out", find=find_columns, look=Look(), say=len)
    assert (done.pictures, done.disagreements, done.skipped) == (1, 0, ())
    ((pose,),) = labels(tmp_path / "out").values()
    picture = cv2.imread(str(next((tmp_path / "out" / "images" / "train").iterdir())))
    # The cut is above the hips, and less than half a leg above them; the feet are in it.
    assert 0 < pose.points[:2, 1].min() < 0.31 * LEG
    assert pose.points[:, 1].max() < picture.shape[0]
    shape = pose.points - pose.points[0]
    assert np.abs(shape - (LEGS - LEGS[0])).max() < 2
    assert (pose.visibility == 2).all()


def test_who_is_not_agreed_on_is_listed_and_not_drawn_into_anybodys_picture(tmp_path):
    write_people(tmp_path / "footage", 150.0)
    look = Look(right_heel=(0.2 * LEG, 0))
    done = label([tmp_path / "footage"], tmp_path / "out", find=find_columns, look=look, say=len)
    assert (done.pictures, done.disagreements) == (0, 1)
    (row,) = rows(tmp_path / "out")
    assert "left_heel" in row["reason"]
    assert row["file"].endswith("people0.png")
    assert int(row["left_px"]) < 150 < int(row["right_px"])


def test_somebody_without_a_label_keeps_a_neighbour_from_being_written(tmp_path):
    write_people(tmp_path / "footage", 150.0, 260.0)

    class Half(Look):
        def __call__(self, crops):
            answers = super().__call__(crops)
            return [*answers[:2], NOBODY, NOBODY]

    done = label([tmp_path / "footage"], tmp_path / "out", find=find_columns, look=Half(), say=len)
    assert done.pictures == 0
    assert sorted(row["reason"] for row in rows(tmp_path / "out")) == [
        "BlazePose sees nobody",
        "somebody without a label stands in the picture",
    ]


def test_a_second_call_goes_on_with_the_files_that_are_left(tmp_path):
    write_people(tmp_path / "footage", 150.0)
    look = Look()
    label([tmp_path / "footage"], tmp_path / "out", find=find_columns, look=look, say=len)
    before = {p: p.read_bytes() for p in (tmp_path / "out" / "images").rglob("*.jpg")}
    write_people(tmp_path / "footage", 300.0)
    done = label([tmp_path / "footage"], tmp_path / "out", find=find_columns, look=look, say=len)
    assert (done.pictures, look.calls) == (1, 2)
    assert len(labels(tmp_path / "out")) == 2
    assert all(path.read_bytes() == content for path, content in before.items())


def test_an_interrupted_file_is_begun_anew_and_nothing_is_doubled(tmp_path):
    write_people(tmp_path / "footage", 150.0)
    label([tmp_path / "footage"], tmp_path / "out", find=find_columns, look=Look(), say=len)
    for record in (tmp_path / "out" / "done").iterdir():
        record.unlink()
    label([tmp_path / "footage"], tmp_path / "out", find=find_columns, look=Look(), say=len)
    assert len(labels(tmp_path / "out")) == 1


def test_frames_of_a_video_are_taken_by_time(tmp_path):
    picture = cv2.imread(str(write_people(tmp_path / "pictures", 150.0)))
    writer = cv2.VideoWriter(
        str(tmp_path / "walk.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, SIZE[::-1]
    )
    for _ in range(11):
        writer.write(picture)
    writer.release()
    done = label(
        [tmp_path / "walk.mp4"],
        tmp_path / "out",
        find=find_columns,
        look=Look(right_foot=(0.2 * LEG, 0)),
        interval_s=0.4,
        say=len,
    )
    assert done.disagreements == 3
    assert [row["time_s"] for row in rows(tmp_path / "out")] == ["0.00", "0.40", "0.80"]


def test_what_is_no_footage_is_named(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"torn")
    teachers = {"find": find_columns, "look": Look(), "say": len}
    with pytest.raises(NothingLoadedError, match=r"torn\.png: the picture cannot be read"):
        label([tmp_path / "torn.png"], tmp_path / "out", **teachers)
    with pytest.raises(NothingLoadedError, match=r"gone\.mp4"):
        label([tmp_path / "gone.mp4"], tmp_path / "out", **teachers)
    with pytest.raises(ValueError, match="seconds between two frames"):
        label([tmp_path / "torn.png"], tmp_path / "out", interval_s=0, **teachers)
    write_people(tmp_path / "footage", 150.0)
    done = label([tmp_path / "footage", tmp_path / "torn.png"], tmp_path / "out", **teachers)
    assert done.pictures == 1
    assert done.skipped[0]["path"].endswith("torn.png")


def test_a_teacher_of_other_keypoints_is_refused():
    with pytest.raises(WeightsError, match="does not predict COCO's 17 keypoints"):
        load_finder(WEIGHTS)


def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    command = [sys.executable, "-m", "weights.recipe", "label", tmp_path / "gone.mp4"]
    options = ["--out", tmp_path / "out", "--teacher", WEIGHTS]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 1
    assert "does not predict COCO's 17 keypoints" in done.stderr
    assert "Traceback" not in done.stderr
