"""Photographs that drawn people stand before: rooms, places all around, walls and floors."""

import base64
import os
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

_PANORAMA: Final = re.compile(r"package/hdri/(\w+)\.exr\.js")
_TEXTURE: Final = re.compile(r"robosuite/models/assets/textures/([\w-]+)\.png")
_NO_SURFACES: Final = {"bread", "can", "cereal", "glass", "lemon", "soda"}
"""Textures of robosuite that are wrapped around one thing."""

_TEXTURE_PX: Final = 384
_BRIGHT: Final = 0.8
"""Where a panorama's 90th percentile is shown, of full white."""


@dataclass(frozen=True)
class Photographs:
    """Pictures (H, W, 3) uint8 BGR without people; each kind may be empty."""

    rooms: tuple[np.ndarray, ...] = ()
    """What a camera saw; shown as they are."""
    panoramas: tuple[np.ndarray, ...] = ()
    """All around and from above to below: twice as wide as high."""
    textures: tuple[np.ndarray, ...] = ()
    """Flat surfaces seen from straight above."""


def read_photographs(folder: str | Path) -> Photographs:
    """Return the pictures of a folder, its ``panoramas/`` and its ``textures/``."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder of pictures")
    return Photographs(
        rooms=tuple(_read(folder)),
        panoramas=tuple(_read(folder / "panoramas")),
        textures=tuple(_read(folder / "textures")),
    )


def pick(pictures: tuple[np.ndarray, ...], rng: np.random.Generator) -> np.ndarray:
    """Return one of some pictures."""
    return pictures[int(rng.integers(len(pictures)))]


def unpack_photographs(archive: str | Path, folder: str | Path) -> int:
    """Write what a package holds of panoramas and textures as `read_photographs` takes them.

    Parameters
    ----------
    archive : path
        npm's ``pmndrs-assets-*.tgz`` (CC0, panoramas of Poly Haven) or PyPI's
        ``robosuite-*.whl`` (MIT, textures).
    folder : path

    Returns
    -------
    int
        Number of pictures written.

    Raises
    ------
    ValueError
        If it is another package, or not a whole one.
    """
    archive, folder = Path(archive), Path(folder)
    pictures = _textures(archive) if archive.suffix == ".whl" else _panoramas(archive)
    count = 0
    try:
        for name, picture in pictures:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), picture)
            count += 1
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{archive} is no whole package ({error}): download it again") from error
    if not count:
        raise ValueError(
            f"{archive} holds neither panoramas nor textures: give the file of "
            "`npm pack @pmndrs/assets` or `pip download --no-deps robosuite`"
        )
    return count


def _panoramas(archive: Path) -> Iterator[tuple[str, np.ndarray]]:
    # OpenCV reads OpenEXR only where it is told that the file is trusted.
    os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"
    with tarfile.open(archive, "r:gz") as package:
        for member in package:
            name, file = _PANORAMA.fullmatch(member.name), package.extractfile(member)
            if name is None or file is None:
                continue
            encoded = file.read().split(b"base64,")[1].split(b"'")[0]
            light = _decode(base64.b64decode(encoded), cv2.IMREAD_UNCHANGED)[..., :3]
            shown = np.clip(light / np.percentile(light, 90) * _BRIGHT, 0, 1) ** (1 / 2.2)
            yield f"panoramas/{name[1]}.png", (255 * shown).astype(np.uint8)


def _textures(archive: Path) -> Iterator[tuple[str, np.ndarray]]:
    with zipfile.ZipFile(archive) as package:
        for path in package.namelist():
            name = _TEXTURE.fullmatch(path)
            if name is None or name[1] in _NO_SURFACES:
                continue
            texture = _decode(package.read(path), cv2.IMREAD_COLOR)
            side = (_TEXTURE_PX, _TEXTURE_PX)
            yield f"textures/{name[1]}.png", cv2.resize(texture, side, interpolation=cv2.INTER_AREA)


def _decode(content: bytes, mode: int) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    if picture is None:
        raise ValueError("this OpenCV cannot read OpenEXR pictures")
    return np.asarray(picture)


def _read(folder: Path) -> Iterator[np.ndarray]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        picture = cv2.imread(str(path)) if path.is_file() else None
        if picture is not None:
            yield picture
