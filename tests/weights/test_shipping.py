import hashlib
import zipfile

import pytest

from fiftyone_legpose import legs
from weights.recipe.shipping import MAX_BYTES, SUMS_NAME, WEIGHTS, ship

FOLDERS = (b"/work", b"/root", b"/home", b"/tmp", b"/Users", b"\\Users")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """What a training leaves behind, as far as shipping is concerned."""
    torch = pytest.importorskip("torch")
    from ultralytics import YOLO

    model = YOLO("yolov8n-pose.yaml").model
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("run") / "last.pt"
    settings = {"task": "pose", "lr0": 0.01, "data": "/home/someone/patients.yaml", "imgsz": 640}
    torch.save({"model": model, "ema": model, "train_args": settings, "optimizer": {}}, path)
    return path


def test_the_shipped_file_is_the_one_of_the_checksums():
    sums = dict(
        reversed(line.split()) for line in (WEIGHTS.parent / SUMS_NAME).read_text().splitlines()
    )
    assert sums == {WEIGHTS.name: hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()}
    assert WEIGHTS.stat().st_size < MAX_BYTES


def test_the_shipped_file_names_the_keypoints_and_no_folder_of_a_machine():
    from ultralytics import YOLO

    model = YOLO(WEIGHTS).model
    assert list(model.kpt_shape) == [10, 3]
    assert model.kpt_names == {0: list(legs.KEYPOINTS)}
    with zipfile.ZipFile(WEIGHTS) as archive:
        pickles = [archive.read(name) for name in archive.namelist() if name.endswith(".pkl")]
    assert pickles
    assert not [folder for folder in FOLDERS for pickled in pickles if folder in pickled]


def test_what_is_shipped_can_be_shipped_again_and_keeps_its_size(tmp_path):
    from ultralytics import YOLO

    target = tmp_path / "legs.pt"
    digest = ship(WEIGHTS, target, imgsz=224)
    assert (tmp_path / SUMS_NAME).read_text() == f"{digest}  legs.pt\n"
    assert YOLO(target).overrides["imgsz"] == 224
    assert sorted(path.name for path in tmp_path.iterdir()) == [SUMS_NAME, "legs.pt"]


def test_a_model_of_other_keypoints_is_not_shipped_and_nothing_is_left(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"\[17, 3\]"):
        ship(checkpoint, tmp_path / "legs.pt", imgsz=320)
    assert not list(tmp_path.iterdir())
