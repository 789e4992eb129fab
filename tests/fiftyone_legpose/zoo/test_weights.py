import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.files import file_sha256
from fiftyone_legpose.zoo import checkpoints, registry, version_files
from fiftyone_legpose.zoo.checkpoints import shipped_checkpoint
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import AUTHOR_NAME, Weights, find_weights, load_yolo


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    return tmp_path / "zoo"


@pytest.fixture
def bomb(tmp_path):
    path = tmp_path / "best.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("best/data.pkl", pickle.dumps(_Bomb(tmp_path / "exploded")))
    return path


def test_default_is_the_shipped_file(zoo):
    weights = find_weights()
    assert weights == find_weights("legpose-yolov8n") == find_weights("1")
    assert weights.path == shipped_checkpoint()
    assert weights.name == "1"
    assert weights.trusted
    assert not weights.right_first


def test_a_copy_of_the_shipped_file_is_known(zoo, tmp_path):
    copy = tmp_path / "copy.pt"
    copy.write_bytes(shipped_checkpoint().read_bytes())
    assert find_weights(copy).trusted


def test_a_shipped_file_that_was_changed_is_refused(zoo, tmp_path, monkeypatch):
    (tmp_path / "legpose-yolov8n.pt").write_bytes(shipped_checkpoint().read_bytes()[:-1] + b"x")
    (tmp_path / "SHA256SUMS").write_text(
        f"{file_sha256(shipped_checkpoint())}  legpose-yolov8n.pt\n"
    )
    monkeypatch.setattr(checkpoints, "_shipped_folders", lambda: [tmp_path])
    with pytest.raises(WeightsError, match="install the package again"):
        find_weights()


def test_nothing_is_unpickled_before_trust(zoo, tmp_path, bomb):
    with pytest.raises(WeightsError, match=r"trust=True \(--trust\)"):
        find_weights(bomb)
    weights = find_weights(bomb, trust=True)
    assert not weights.trusted
    assert not (tmp_path / "exploded").exists()


def test_what_is_no_checkpoint_is_named(zoo, tmp_path):
    text, page, archive, script, quoted = (
        tmp_path / name for name in ("notes.txt", "page.pt", "zip.pt", "script.pt", "it's.pt")
    )
    text.write_text("x")
    page.write_text("<html>not found</html>")
    for path, member in ((archive, "a/b.txt"), (script, "s/data.pkl"), (quoted, "s/data.pkl")):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(member, "x")
            if path == script:
                file.writestr("s/constants.pkl", "x")
    for path, reason in (
        (tmp_path / "none.pt", "No weights at"),
        (tmp_path, "No weights at"),
        (text, "end in .pt"),
        (page, "no checkpoint"),
        (archive, "no checkpoint"),
        (script, "TorchScript"),
        (quoted, "copy it"),
    ):
        with pytest.raises(WeightsError, match=reason) as caught:
            find_weights(path, trust=True)
        assert str(path) in str(caught.value)


def test_the_authors_weights_are_right_first_and_need_trust(zoo, bomb):
    with pytest.raises(WeightsError, match="not at"):
        find_weights(AUTHOR_NAME, trust=True)
    zoo.mkdir()
    (zoo / f"{AUTHOR_NAME}.pt").write_bytes(bomb.read_bytes())
    with pytest.raises(WeightsError, match="trust=True"):
        find_weights(AUTHOR_NAME)
    assert find_weights(AUTHOR_NAME, trust=True).right_first
    version_files.import_version(bomb, "the-same-file", trust=True)
    assert find_weights(AUTHOR_NAME).right_first
    registry.remove_version("the-same-file")
    assert find_weights(bomb, trust=True, right_first=True).right_first
    assert not find_weights(bomb, trust=True).right_first


def test_versions_are_found_by_name_and_by_use(zoo, bomb):
    version_files.import_version(bomb, "round1", trust=True)
    by_name = find_weights("round1")
    assert by_name == find_weights("legpose-yolov8n@round1") == find_weights(version="round1")
    assert by_name.name == "round1"
    assert by_name.trusted
    assert find_weights(bomb).trusted
    assert find_weights().name == "1"
    registry.use_version("round1")
    assert find_weights() == by_name
    with pytest.raises(WeightsError, match=r"round7.*There are: 1, round1"):
        find_weights(version="round7")
    with pytest.raises(WeightsError, match="not both"):
        find_weights(bomb, version="round1")


def test_a_folder_of_a_versions_name_is_no_checkpoint(zoo, tmp_path, monkeypatch):
    # `legpose evaluate --weights 1 --report 1` makes one.
    (tmp_path / "1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_weights("1") == find_weights()


def test_shipped_weights_have_the_ten_keypoints(zoo):
    yolo = load_yolo(find_weights())
    assert tuple(yolo.model.kpt_shape) == (10, 3)


def test_weights_of_something_else_are_refused(zoo, tmp_path, bomb):
    ultralytics = import_ultralytics()
    for architecture, reason in (("yolov8n-pose.yaml", "17 keypoints"), ("yolov8n.yaml", "detect")):
        path = tmp_path / f"{architecture}.pt"
        ultralytics.YOLO(architecture).save(path)
        with pytest.raises(WeightsError, match=reason):
            load_yolo(find_weights(path, trust=True))
    with pytest.raises(WeightsError, match="cannot load"):
        load_yolo(Weights(bomb, "", "bomb", False, False))


def test_ultralytics_stays_quiet_and_keeps_the_users_settings(tmp_path):
    # A process of its own: the switches must hold where nothing was imported before.
    script = (
        "from fiftyone_legpose.zoo.ultralytics import import_ultralytics\n"
        "import_ultralytics()\n"
        "from ultralytics.utils import AUTOINSTALL, ONLINE, SETTINGS\n"
        "from ultralytics.utils.events import events\n"
        "assert not (AUTOINSTALL or ONLINE or events.enabled)\n"
        "assert SETTINGS['sync']\n"
    )
    settings = tmp_path / "Ultralytics" / "settings.json"
    environment = {k: v for k, v in os.environ.items() if k != "YOLO_OFFLINE"}
    environment["YOLO_CONFIG_DIR"] = str(tmp_path)
    command = [sys.executable, "-c", script]
    subprocess.run(command, env=environment, check=True)
    before = settings.read_bytes()
    subprocess.run(command, env=environment, check=True)
    assert settings.read_bytes() == before
