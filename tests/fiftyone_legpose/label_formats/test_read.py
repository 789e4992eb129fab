"""Labels of other tools land on the frames that they belong to."""

import csv
import json
import zipfile
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

import fiftyone_legpose as lp
from cvat_bridge.errors import FormatError
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.review.labels_import import import_labels
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.reviewing import SIZE, labels, people

POINTS = np.array(reviewing.standing(3))
COCO_17 = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", *legs.KEYPOINTS[:6]),
)
BROKEN = [{"id": 7, "image_id": 0, "category_id": 5, "keypoints": [1, 2, 3]}]


@pytest.fixture
def pictures(dataset_name, tmp_path) -> fo.Dataset:
    for name in ("a", "b", "c"):
        path = tmp_path / "pictures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    return lp.load(tmp_path / "pictures", dataset_name)


def coco(names=legs.KEYPOINTS, **more: object) -> dict:
    """One person on a, nobody on b, and one without keypoints on c."""
    first = names.index("left_hip")
    xyv = np.zeros((len(names), 3))
    xyv[first : first + 10] = np.column_stack([POINTS, [2, 1] * 5])[: len(names) - first]
    images = [
        {"id": i, "file_name": f"{name}.png", "width": SIZE[0], "height": SIZE[1]}
        for i, name in enumerate("abc")
    ]
    annotations = [
        {"id": 1, "image_id": 0, "category_id": 5, "keypoints": xyv.ravel().tolist()},
        {"id": 2, "image_id": 2, "category_id": 5, "keypoints": [0] * 3 * len(names)},
    ]
    category = {"id": 5, "name": "person", "keypoints": list(names)}
    return {"images": images, "annotations": annotations, "categories": [category], **more}


@pytest.mark.parametrize("zipped", [False, True])
def test_coco_keypoints(pictures, tmp_path, zipped):
    source = tmp_path / "person_keypoints.json"
    source.write_text(json.dumps(coco()))
    if zipped:
        packed = tmp_path / "coco.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(source, "annotations/person_keypoints_default.json")
        source = packed
    summary = import_labels(pictures, source, confirm_empty=True)
    assert (summary.written, summary.persons, summary.empty, summary.absent) == (2, 1, 1, [])
    [found] = people(pictures, fields.GROUND_TRUTH, 0)
    assert np.allclose(found.points, POINTS, atol=1e-3)
    assert found.visibility.tolist() == [2, 1] * 5
    assert labels(pictures, fields.GROUND_TRUTH)[2] is None


def test_a_zip_of_coco_with_pictures_makes_a_dataset(pictures, dataset_name, tmp_path):
    packed = tmp_path / "coco.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("annotations/instances.json", json.dumps(coco(categories=[])))
        archive.writestr("annotations/person_keypoints_default.json", json.dumps(coco()))
        for path in (tmp_path / "pictures").iterdir():
            archive.write(path, f"images/{path.name}")
    summary = import_labels(f"{dataset_name}-anew", packed)
    assert (summary.made, summary.written, summary.unmatched) == (True, 1, [])


def test_labels_without_heels_and_feet_are_taken_and_told(pictures, tmp_path):
    source = tmp_path / "coco.json"
    source.write_text(json.dumps(coco(COCO_17)))
    summary = import_labels(pictures, source)
    assert summary.absent == ["left_heel", "right_heel", "left_foot", "right_foot"]
    [found] = people(pictures, fields.GROUND_TRUTH, 0)
    assert found.visibility.tolist() == [2, 1, 2, 1, 2, 1, 0, 0, 0, 0]
    assert np.allclose(found.points[:6], POINTS[:6], atol=1e-3)


def test_labels_without_knees_are_refused(pictures, tmp_path):
    source = tmp_path / "coco.json"
    source.write_text(json.dumps(coco(("left_hip", "right_hip"))))
    with pytest.raises(DatasetError, match="2 keypoints named left_hip"):
        import_labels(pictures, source)


def test_label_studio(pictures, tmp_path):
    names = ["LHip", "RHip", "LKnee", "RKnee", "LAnkle", "RAnkle", "LHeel", "RHeel", "LToe", "RToe"]
    region = [
        {
            "type": "keypointlabels",
            "original_width": SIZE[0],
            "value": {"x": x / SIZE[0] * 100, "y": y / SIZE[1] * 100, "keypointlabels": [name]},
        }
        for name, (x, y) in zip(names, POINTS, strict=True)
    ]
    upload = "/data/upload/3/0a1b2c3d-a.png"
    tasks = [
        {"data": {"image": upload}, "annotations": [{"result": region}]},
        {"data": {"image": "/data/local-files/?d=x/b.png"}, "annotations": []},
    ]
    source = tmp_path / "project-1.json"
    source.write_text(json.dumps(tasks))
    summary = import_labels(pictures, source)
    assert (summary.written, summary.unmatched, summary.absent) == (1, [], [])
    [found] = people(pictures, fields.GROUND_TRUTH, 0)
    assert np.allclose(found.points, POINTS, atol=1e-3)
    tasks[0]["annotations"][0]["result"] = region * 2
    source.write_text(json.dumps(tasks))
    with pytest.raises(FormatError, match="has LHip twice"):
        import_labels(pictures, source)


@pytest.mark.parametrize("columns", [1, 3])
def test_deeplabcut_finds_the_frames_of_a_video(dataset_name, short_clip, tmp_path, columns):
    video = reviewing.video_dataset(dataset_name, short_clip)
    blank = [""] * (columns - 1)
    cells = [[f"{value:.3f}" for value in POINTS.ravel()], ["", ""] * 10]
    place = ["labeled-data", "short", "img004.png"]
    rows = [
        ["scorer", *blank, *["ana"] * 20],
        ["bodyparts", *blank, *[name for name in legs.KEYPOINTS for _ in "xy"]],
        ["coords", *blank, *["x", "y"] * 10],
        [*(place if columns == 3 else ["/".join(place)]), *cells[0]],
        [*(["/".join([*place[:2], "img005.png"])] if columns == 1 else [*place[:2], "img005.png"])],
    ]
    rows[-1] += cells[1]
    source = tmp_path / "CollectedData_ana.csv"
    with source.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    summary = import_labels(video, source)
    assert (summary.written, summary.unmatched) == (1, [])
    [found] = people(video, fields.GROUND_TRUTH, 4)  # img004 is the fifth frame
    assert np.allclose(found.points, POINTS, atol=1e-2)


def test_sleap(dataset_name, short_clip, tmp_path):
    sleap_io = pytest.importorskip("sleap_io")
    video = reviewing.video_dataset(dataset_name, short_clip)
    skeleton = sleap_io.Skeleton(list(legs.KEYPOINTS))
    film = sleap_io.Video(filename="/elsewhere/short.mp4", open_backend=False)
    person = sleap_io.Instance.from_numpy(POINTS, skeleton=skeleton)
    guess = sleap_io.PredictedInstance.from_numpy(POINTS, skeleton=skeleton)
    frames = [
        sleap_io.LabeledFrame(video=film, frame_idx=6, instances=[person]),
        sleap_io.LabeledFrame(video=film, frame_idx=7, instances=[guess]),
    ]
    source = tmp_path / "labels.slp"
    sleap_io.Labels(frames).save(str(source), embed=False)
    summary = import_labels(video, source)
    assert (summary.written, summary.unmatched) == (1, [])
    [found] = people(video, fields.GROUND_TRUTH, 6)
    assert np.allclose(found.points, POINTS, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", "{}", "neither COCO keypoints nor Label Studio"),
        ("a.json", "{broken", "neither COCO"),
        ("a.csv", "file,subject\n", "no CSV file of DeepLabCut"),
        ("a.h5", "", "give the CSV file beside it"),
        ("a.slp", "no project", "cannot be read by sleap-io"),
        ("a.csv", "scorer,m,m,m\nbodyparts,a,a,a\ncoords,x,y,likelihood\n", "are predictions"),
        (
            "a.json",
            json.dumps(coco(annotations=[{"image_id": 0, "category_id": 5}]))[:-9],
            "neither",
        ),
    ],
)
def test_what_cannot_be_read_says_what_to_give(pictures, tmp_path: Path, name, text, told):
    if name.endswith(".slp"):
        pytest.importorskip("sleap_io")
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=told):
        import_labels(pictures, tmp_path / name)
