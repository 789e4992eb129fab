import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.zoo import registry, version_files
from fiftyone_legpose.zoo.registry import Version


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path / "zoo"))
    return tmp_path / "zoo" / "legpose-yolov8n" / "versions"


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "mine.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mine/data.pkl", "never opened here")
    return path


def _described(name: str) -> Version:
    return Version(
        name=name,
        path=Path(),
        sha256="",
        parent="1",
        right_first=True,
        dataset="walks",
        frames={"train": [{"sample": "a", "frame": 3}], "val": []},
        labels_sha256="00",
        settings={"epochs": 2},
        metrics={"pose_map50": 0.5},
        libraries={"torch": "2"},
    )


def _names() -> list[str]:
    return [version.name for version in registry.list_versions()]


def test_shipped_is_always_listed_and_never_removed(zoo):
    assert _names() == ["1"]
    assert registry.current_version() == "1"
    with pytest.raises(WeightsError, match="cannot be removed"):
        registry.remove_version("1")


def test_a_version_comes_back_as_it_was_added(zoo, checkpoint):
    added = registry.add_version(checkpoint, _described("round1"))
    assert registry.get_version("round1") == added
    assert added.path.read_bytes() == checkpoint.read_bytes()
    assert replace(added, path=Path(), sha256="", created=None) == _described("round1")
    with pytest.raises(WeightsError, match="already"):
        registry.add_version(checkpoint, _described("round1"))
    assert _names() == ["1", "round1"]


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 65, "round 1", "-rf"])
def test_names_that_are_no_folder_are_refused(zoo, checkpoint, name):
    with pytest.raises(WeightsError, match="cannot name a version"):
        registry.add_version(checkpoint, _described(name))
    with pytest.raises(WeightsError, match="cannot name a version"):
        registry.remove_version(name)


def test_use_and_remove(zoo, checkpoint):
    registry.add_version(checkpoint, _described("round1"))
    registry.use_version("round1")
    assert registry.current_version() == "round1"
    registry.remove_version("round1")
    assert _names() == ["1"]
    assert registry.current_version() == "1"
    assert list(zoo.iterdir()) == []
    for act in (registry.use_version, registry.remove_version, registry.get_version):
        with pytest.raises(WeightsError, match="No version 'round1'"):
            act("round1")


def test_a_half_written_version_is_never_listed(zoo, checkpoint, monkeypatch):
    def killed(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        registry.add_version(checkpoint, _described("round1"))
    assert _names() == ["1"]
    monkeypatch.undo()
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "model_zoo_dir", str(zoo.parents[1]))
    # What a killed process would leave behind: a draft, or a folder that a copy cut short.
    (zoo / ".draft-dead").mkdir()
    (zoo / "cut").mkdir()
    (zoo / "cut" / "version.json").write_text("{")
    (zoo / "bare").mkdir()
    (zoo / "bare" / "version.json").write_text("{}")
    assert _names() == ["1"]
    registry.add_version(checkpoint, _described("round1"))
    assert _names() == ["1", "round1"]


def test_weights_that_changed_on_disk_are_refused(zoo, checkpoint):
    added = registry.add_version(checkpoint, _described("round1"))
    with zipfile.ZipFile(added.path, "a") as archive:
        archive.writestr("more", "x")
    with pytest.raises(WeightsError, match="changed since"):
        registry.use_version("round1")


def test_export_and_import_keep_the_description(zoo, checkpoint, tmp_path, monkeypatch):
    added = registry.add_version(checkpoint, _described("round1"))
    packed = version_files.export_version("round1", tmp_path / "out" / "round1.zip")
    bare = version_files.export_version("round1", tmp_path / "out" / "round1.pt")
    assert bare.read_bytes() == checkpoint.read_bytes()
    assert str(tmp_path) not in json.dumps(zipfile.ZipFile(packed).read("version.json").decode())
    with pytest.raises(WeightsError, match="exists already"):
        version_files.export_version("round1", packed)
    with pytest.raises(WeightsError, match=r"\.pt or \.zip"):
        version_files.export_version("round1", tmp_path / "round1.onnx")

    registry.remove_version("round1")
    with pytest.raises(WeightsError, match="trust=True"):
        version_files.import_version(packed)
    assert version_files.import_version(packed, trust=True) == added
    # Its sha256 is known by now, so that a second name needs no trust.
    assert version_files.import_version(packed, "again").name == "again"
    with pytest.raises(WeightsError, match="already"):
        version_files.import_version(packed, trust=True)
    assert version_files.import_version(bare, "bare").frames == {}


def test_a_checkpoint_of_the_other_order_is_imported_as_such(zoo, checkpoint, tmp_path):
    assert not version_files.import_version(checkpoint, "plain", trust=True).right_first
    turned = version_files.import_version(checkpoint, "turned", right_first=True, trust=True)
    assert registry.get_version("turned").right_first
    packed = version_files.export_version("turned", tmp_path / "turned.zip")
    assert version_files.import_version(packed, "again").right_first == turned.right_first
    assert not version_files.import_version(packed, "corrected", right_first=False).right_first


def test_lineage_goes_back_to_all_that_a_version_came_from(zoo, tmp_path):
    def add(name, base_sha256):
        path = tmp_path / f"{name}.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{name}/data.pkl", "")
        entry = replace(_described(name), settings={"base_sha256": base_sha256})
        return registry.add_version(path, entry)

    first = add("first", "")
    second = add("second", first.sha256)
    other = add("other", "not here")
    assert {v.name for v in registry.lineage(second.sha256)} == {"first", "second"}
    assert {v.name for v in registry.lineage(other.sha256, first.sha256)} == {"first", "other"}
    assert registry.lineage("unknown") == []


def test_import_takes_two_members_by_name_only(zoo, checkpoint, tmp_path):
    hostile = tmp_path / "hostile.zip"
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.write(checkpoint, "weights.pt")
        archive.writestr("version.json", json.dumps({"name": "../../evil", "path": "/etc"}))
        archive.writestr("../../escaped.txt", "x")
    with pytest.raises(WeightsError, match="cannot name a version"):
        version_files.import_version(hostile, trust=True)
    assert version_files.import_version(hostile, "tame", trust=True).name == "tame"
    assert not list(tmp_path.rglob("escaped.txt"))


def test_imports_that_are_no_export_are_refused(zoo, checkpoint, tmp_path):
    swapped, empty = tmp_path / "swapped.zip", tmp_path / "empty.zip"
    with zipfile.ZipFile(swapped, "w") as archive:
        archive.write(checkpoint, "weights.pt")
        archive.writestr("version.json", json.dumps({"name": "a", "sha256": "ff"}))
    zipfile.ZipFile(empty, "w").close()
    with pytest.raises(WeightsError, match="damaged"):
        version_files.import_version(swapped, trust=True)
    with pytest.raises(WeightsError, match="no exported version"):
        version_files.import_version(empty, trust=True)
    with pytest.raises(WeightsError, match="No file"):
        version_files.import_version(tmp_path / "none.zip", trust=True)
    assert _names() == ["1"]
    assert list(zoo.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"name": 3}, "name"),
        ({"sha256": None}, "sha256"),
        ({"created": 3}, "created"),
        ({"right_first": "no"}, "right_first"),
        ({"settings": []}, "settings"),
        ({"frames": ["a"]}, "frames"),
        ({"frames": {"train": "all"}}, "frames"),
        ({"frames": {"train": ["a"]}}, "frames"),
        ({"frames": {"val": [{"sample": "a", "frame": "1"}]}}, "frames"),
        ({"frames": {"test": []}}, "frames"),
    ],
)
def test_a_description_of_other_types_is_refused(zoo, checkpoint, tmp_path, values, word):
    foreign = tmp_path / "foreign.zip"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.write(checkpoint, "weights.pt")
        archive.writestr("version.json", json.dumps({"name": "a"} | values))
    with pytest.raises(WeightsError, match=f"no exported version: {word}"):
        version_files.import_version(foreign, trust=True)
    assert _names() == ["1"]
