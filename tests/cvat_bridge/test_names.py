import unicodedata
import zipfile

import pytest

from cvat_bridge.archives import open_archive
from cvat_bridge.errors import FormatError
from cvat_bridge.names import is_utf8, plain_name, printable
from cvat_bridge.pose_sets import Frame, PoseSet
from cvat_bridge.yolo_pose import read_yolo_pose, write_yolo_pose

LINE = "0 0.5 0.5 0.2 0.2 0.4 0.4 2\n"
YAML = "train: images/train\nkpt_shape: [1, 3]\nnames: [leg]\n"


def write_set(folder, *files):
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name.endswith(".png") else LINE.encode())
    (folder / "data.yaml").write_text(YAML)
    return folder


@pytest.mark.parametrize(
    "other",
    [unicodedata.normalize("NFD", "müde 01"), "MÜDE 01", "m%C3%BCde%2001", "müde 01 "],
    ids=["taken-apart", "case", "percent", "blank"],
)
def test_a_picture_finds_labels_that_are_named_alike(tmp_path, other):
    write_set(tmp_path, "images/train/müde 01.png", f"labels/train/{other}.txt")
    read = read_yolo_pose(tmp_path, normalized=True)
    assert {name: len(frame.poses) for name, frame in read.frames.items()} == {"müde 01": 1}
    assert read.unlisted == ()


def test_labels_that_two_pictures_could_mean_are_refused(tmp_path):
    write_set(tmp_path, "images/train/a.png", "images/train/A .png", "labels/train/A.txt")
    with pytest.raises(FormatError, match="Name each label file exactly"):
        read_yolo_pose(tmp_path, normalized=True)


def test_a_picture_without_labels_does_not_take_those_of_another(tmp_path):
    write_set(tmp_path, "images/train/a.png", "images/train/A.png", "labels/train/A.txt")
    read = read_yolo_pose(tmp_path, normalized=True)
    assert {name: len(frame.poses) for name, frame in read.frames.items()} == {"a": 0, "A": 1}


def test_names_that_a_disk_takes_for_one_are_not_written(tmp_path):
    dataset = PoseSet(("leg",), 1, {name: Frame(name) for name in ("Walk", "walk")})
    with pytest.raises(FormatError, match="some disks take for the same"):
        write_yolo_pose(tmp_path / "set", dataset)


class UnflaggedInfo(zipfile.ZipInfo):
    """A member as macOS packs it: its name is UTF-8, and nothing says so."""

    def _encodeFilenameFlags(self):  # noqa: N802 - zipfile's own
        return self.filename.encode(), 0


def test_a_zip_with_names_in_utf8_that_does_not_say_so(tmp_path):
    packed = tmp_path / "set.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(UnflaggedInfo("images/train/müde.png"), b"")
    assert "müde" not in zipfile.ZipFile(packed).namelist()[0]
    with open_archive(packed) as archive:
        assert archive.names == ["images/train/müde.png"]


def test_a_name_in_another_encoding_is_named(tmp_path):
    odd = b"labels/M\xfcde.txt".decode("utf-8", "surrogateescape")
    write_set(tmp_path, odd)
    with pytest.raises(FormatError, match=r"M\\xfcde.txt is not in UTF-8"), open_archive(tmp_path):
        pass


def test_spellings():
    assert plain_name("P01/Walk%2001 ") == plain_name("p01/walk 01")
    assert plain_name("100%") == "100%"
    assert not is_utf8("M\udcfcde")
    assert printable("M\udcfcde") == "M\\xfcde"
