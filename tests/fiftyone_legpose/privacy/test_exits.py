"""The other ways out: stills, YOLO-pose, annotated video; and what no artifact may carry."""

import subprocess
import zipfile
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

import fiftyone_legpose as lp
from cvat_bridge.poses import Pose
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.exports.yolo_pose_dataset import YOLOPoseDataset
from fiftyone_legpose.prediction.annotated_video import write_annotated_videos
from fiftyone_legpose.privacy.audit import audit_file
from fiftyone_legpose.privacy.faces import find_faces
from fiftyone_legpose.privacy.pictures import copy_picture
from fiftyone_legpose.privacy.stills import Policy, PrivacyError
from fiftyone_legpose.review.push import push
from tests.fiftyone_legpose.privacy.planting import plant_face
from tests.fiftyone_legpose.privacy.test_gate import upright

SIZE = (320, 240)
NAME = "Mustermann"
PLANTED = [NAME.encode(), NAME.encode("utf-16-le"), b"GPSLat", b"Exif\x00", b"SN4711"]


@pytest.fixture
def room() -> np.ndarray:
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.integers(90, 160, (*SIZE[::-1], 3), dtype=np.uint8), (0, 0), 5)


@pytest.fixture
def with_face(room) -> np.ndarray:
    return plant_face(room, 40, np.random.default_rng(4))[0]


def clip(path: Path, pictures: list[np.ndarray], *options: str) -> Path:
    """A video of pictures, each half a second long, with sound and telling metadata."""
    height, width = pictures[0].shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    chapters = path.with_suffix(".txt")
    chapters.write_text(
        f";FFMETADATA1\ntitle={NAME}\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle={NAME}\n"
    )
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
        + ["-s", f"{width}x{height}", "-r", "2", "-i", "pipe:0", "-i", str(chapters)]
        + ["-f", "lavfi", "-i", "sine=duration=1", "-map", "0:v", "-map", "2:a", "-shortest"]
        + ["-map_metadata", "1", "-map_chapters", "1", "-metadata", "location=+48.1+011.5/"]
        + ["-metadata", f"comment=SN4711 {NAME}", "-pix_fmt", "yuv420p", *options, str(path)],
        input=b"".join(picture.tobytes() for picture in pictures),
        check=True,
    )
    chapters.unlink()
    return path


def photograph(path: Path, picture: np.ndarray) -> Path:
    """A JPEG as a camera writes it: owner, serial number, place, comment."""
    exif = Image.Exif()
    exif[0x013B] = NAME
    exif.get_ifd(0x8769)[0xA431] = "SN4711"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (IFDRational(48), IFDRational(8), IFDRational(0))
    Image.fromarray(picture[:, :, ::-1]).save(path, exif=exif, comment=NAME.encode(), quality=95)
    return path


def carries_planted(data: bytes) -> list[bytes]:
    return [planted for planted in PLANTED if planted in data]


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and of zips what is in them."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found[str(path.relative_to(folder))] = path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                found |= {f"{path.name}/{name}": archive.read(name) for name in archive.namelist()}
    return found


def pictures(folder: Path, *shown: np.ndarray, people: list[list[Pose]], name: str) -> fo.Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    dataset = fo.Dataset(name)
    keypoint_labels.declare(dataset, fields.PREDICTIONS)
    for number, (picture, poses) in enumerate(zip(shown, people, strict=True)):
        path = photograph(folder / f"still{number}.jpg", picture)
        labels = keypoint_labels.to_keypoints(poses, SIZE)
        dataset.add_sample(fo.Sample(filepath=str(path), **{fields.PREDICTIONS: labels}))
    return dataset


def test_stills_of_a_video_with_a_face_are_not_written_unless_asked(tmp_path, room, with_face):
    video = clip(tmp_path / "walk.mp4", [room, with_face])
    with pytest.raises(PrivacyError, match=r"1 of 2 stills .*walk.mp4 still 2 \(face\)"):
        lp.extract_frames(video, tmp_path / "refused")
    assert not list((tmp_path / "refused").iterdir())
    bare, black = lp.extract_frames(video, tmp_path / "black", privacy="blacken")
    assert len(find_faces(cv2.imread(str(black)))) == 0
    assert cv2.imread(str(bare)).min() > 40
    _, shown = lp.extract_frames(video, tmp_path / "off", privacy="off", crop_below=0.1)
    assert cv2.imread(str(shown))[:20].max() < 12
    assert "extract_frames" in audit_file().read_text().splitlines()[-1]
    again = lp.extract_frames(video, tmp_path / "black", privacy="blacken")
    assert again == [bare, black]  # to the last bit, or it refuses


def test_yolo_pose_export_refuses_and_leaves_no_picture(tmp_path, dataset_name, room, with_face):
    dataset = pictures(
        tmp_path / "in", room, with_face, people=[[upright(10)], []], name=dataset_name
    )
    options = {"dataset_type": YOLOPoseDataset, "label_field": fields.PREDICTIONS}
    with pytest.raises(PrivacyError, match=r"still1.jpg \(face\)"):
        dataset.export(str(tmp_path / "out"), progress=False, **options)
    assert not [name for name in files_in(tmp_path / "out") if name.endswith(".jpg")]
    dataset.export(
        str(tmp_path / "out"), progress=False, overwrite=True, privacy="blacken", **options
    )
    legs, face = (cv2.imread(str(p)) for p in sorted((tmp_path / "out").rglob("*.jpg")))
    assert len(find_faces(face)) == 0 and legs.min() > 40
    assert all((tmp_path / "in" / f"still{i}.jpg").exists() for i in (0, 1))


def test_annotated_videos_hide_faces(tmp_path, dataset_name, room, with_face):
    dataset = lp.load(clip(tmp_path / "walk.mp4", [room, with_face]), dataset_name)
    dataset.add_frame_field(
        fields.PREDICTIONS, fo.EmbeddedDocumentField, embedded_doc_type=fo.Keypoints
    )
    with pytest.raises(PrivacyError):
        write_annotated_videos(dataset, tmp_path / "refused", privacy="refuse")
    assert not list((tmp_path / "refused").iterdir())
    [path] = write_annotated_videos(dataset, tmp_path / "out")
    shown = []
    capture = cv2.VideoCapture(str(path))
    while (read := capture.read())[0]:
        shown.append(read[1])
    assert len(shown) == 2
    assert len(find_faces(shown[1])) == 0 and shown[0].min() > 40


def test_no_artifact_tells_name_path_place_or_camera(tmp_path, dataset_name, room):
    home = tmp_path / f"{NAME} 1970"
    video = clip(home / "walk.mp4", [room, room])
    assert carries_planted(video.read_bytes())  # the test can see what it looks for
    dataset = pictures(home, room, room, people=[[upright(10)], []], name=dataset_name)
    assert carries_planted((home / "still0.jpg").read_bytes())
    out = tmp_path / "out"
    out.mkdir()
    push(dataset.view(), "round1", backup=out / "round1.zip")
    lp.extract_frames(video, out / "stills")
    dataset.export(
        str(out / "yolo"),
        dataset_type=YOLOPoseDataset,
        label_field=fields.PREDICTIONS,
        progress=False,
    )
    videos = lp.load(video, f"{dataset_name}-videos", subject=NAME)
    videos.add_frame_field(
        fields.PREDICTIONS, fo.EmbeddedDocumentField, embedded_doc_type=fo.Keypoints
    )
    write_annotated_videos(videos, out / "drawn")
    found = files_in(out)
    assert {Path(name).suffix for name in found} >= {".zip", ".jpg", ".mp4", ".txt", ".yaml"}
    telling = {name: what for name, data in found.items() if (what := carries_planted(data))}
    telling |= {name: [name] for name in found if NAME in name}
    assert not telling


def test_a_playable_copy_is_bare(tmp_path, dataset_name, room):
    video = clip(tmp_path / f"{NAME}.mkv", [room, room])
    [copy] = lp.load(video, dataset_name, subject=NAME).values("filepath")
    assert not carries_planted(Path(copy).read_bytes())
    assert NAME not in copy


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_copies_of_pictures_are_bare_and_upright(tmp_path, room, suffix):
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    exif = Image.Exif()
    exif[0x013B], exif[0x0112] = NAME, 6  # a player turns it
    Image.fromarray(room).save(source, exif=exif, **({} if suffix == ".png" else {"quality": 95}))
    before = source.read_bytes()
    assert carries_planted(before)
    copy_picture(source, target, Policy())
    assert not carries_planted(target.read_bytes())
    with Image.open(target) as image:
        assert image.size == SIZE[::-1] and not image.getexif()
    assert source.read_bytes() == before


def test_a_bare_jpeg_keeps_its_bytes(tmp_path, room):
    source = tmp_path / "in.jpg"
    cv2.imwrite(str(source), room)
    copy_picture(source, tmp_path / "out.jpg", Policy())
    assert (tmp_path / "out.jpg").read_bytes() == source.read_bytes()
