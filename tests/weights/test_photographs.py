import base64
import io
import os
import tarfile
import zipfile

import cv2
import numpy as np
import pytest

from weights.recipe.photographs import read_photographs, unpack_photographs


@pytest.fixture
def panorama_package(tmp_path):
    """A package like npm's @pmndrs/assets, with one panorama: a bright sky, dark ground."""
    os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"
    light = np.full((32, 64, 3), 0.05, np.float32)
    light[:16] = 1.0
    encoded = base64.b64encode(cv2.imencode(".exr", light)[1].tobytes()).decode()
    content = f"export default 'data:application/exr;base64,{encoded}';\n".encode()
    package = tmp_path / "pmndrs-assets-1.7.0.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name in ("package/hdri/park.exr.js", "package/hdri/../../../escaped.exr.js"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return package


def test_panoramas_are_unpacked_and_read(panorama_package, tmp_path):
    folder = tmp_path / "photographs"
    assert unpack_photographs(panorama_package, folder) == 1
    assert [path.name for path in folder.rglob("*.png")] == ["park.png"]
    (panorama,) = read_photographs(folder).panoramas
    assert panorama[:16].mean() > 200
    assert panorama[16:].mean() < 90


def test_textures_are_unpacked_but_for_labels_of_things(tmp_path):
    package, folder = tmp_path / "robosuite-1.0-py3-none-any.whl", tmp_path / "photographs"
    picture = cv2.imencode(".png", np.full((8, 8, 3), 77, np.uint8))[1].tobytes()
    with zipfile.ZipFile(package, "w") as archive:
        for name in ("white-bricks", "cereal"):
            archive.writestr(f"robosuite/models/assets/textures/{name}.png", picture)
    assert unpack_photographs(package, folder) == 1
    photographs = read_photographs(folder)
    assert [texture[0, 0].tolist() for texture in photographs.textures] == [[77, 77, 77]]
    assert not photographs.panoramas
    assert not photographs.rooms


def test_a_package_of_something_else_is_refused(tmp_path):
    package = tmp_path / "other-1.0-py3-none-any.whl"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("other.py", "")
    with pytest.raises(ValueError, match="neither panoramas nor textures"):
        unpack_photographs(package, tmp_path / "photographs")


@pytest.mark.parametrize("name", ["half.tgz", "half.whl"])
def test_half_a_package_is_named(panorama_package, tmp_path, name):
    half = tmp_path / name
    half.write_bytes(panorama_package.read_bytes()[:200])
    with pytest.raises(ValueError, match=rf"{name} is no whole package"):
        unpack_photographs(half, tmp_path / "photographs")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_photographs(tmp_path / "nowhere")
