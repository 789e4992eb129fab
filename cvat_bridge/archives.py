"""Folders and zips: read without trusting them, written whole or not at all."""

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

import PIL.Image

from cvat_bridge.errors import FormatError
from cvat_bridge.names import is_utf8, printable

MAX_MEMBERS = 1_000_000
"""A zip with more files than this is refused."""

MAX_TEXT_BYTES = 64 * 2**20
"""No label, list, yaml or json file of a pose dataset is longer; 64 MiB is 250,000 poses."""

MAX_EXPANSION = 100
"""Times its own size that a zip may unpack to, beyond the first 256 MiB."""

_DAMAGED = (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, NotImplementedError, OSError)
# Where ultralytics is loaded, it has PIL look for pi-heif before it gives a file up.
_NO_PICTURE = (*_DAMAGED, ValueError, SyntaxError, ImportError)
_EXIF_ORIENTATION = 0x0112
_UTF8_FLAG = 0x800
_TURNED = {5, 6, 7, 8}
_SMALL_BYTES = 256 * 2**20
_JUNK_NAMES = {".DS_Store", "Thumbs.db", "desktop.ini"}
_JUNK_FOLDERS = {"__MACOSX"}
# The oldest date a zip can hold; a fixed one makes equal content give an equal file.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_STORED_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


class Archive(Protocol):
    """Files below one root by posix path, without what operating systems leave behind."""

    source: Path
    names: list[str]

    def open(self, name: str) -> BinaryIO:
        """Open a member for reading bytes."""


@contextmanager
def open_archive(source: str | os.PathLike[str]) -> Iterator[Archive]:
    """Open a folder or a zip for reading, checked before anything is taken from it.

    Parameters
    ----------
    source
        A folder or a zip file.

    Raises
    ------
    FormatError
        The source is missing or not a zip, or the zip leaves its own root, holds links or
        encrypted members, names a file twice, or is built to unpack to far more than it holds.
    """
    source = Path(source)
    if source.is_dir():
        yield _Folder(source)
        return
    if not source.exists():
        raise FormatError(f"{source} does not exist. Give a folder or a zip file.")
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError) as error:
        raise FormatError(
            f"{source} is neither a folder nor a zip file ({error}). If it was downloaded, "
            "download it again."
        ) from error
    with archive:
        yield _Zip(source, archive)


def read_text(archive: Archive, name: str, *, limit_bytes: int | None = None) -> str:
    """Read a text member of at most `limit_bytes` (`MAX_TEXT_BYTES` if not said).

    Raises
    ------
    FormatError
        The member is longer, damaged, or not UTF-8.
    """
    where = f"{archive.source}: {name}"
    limit = limit_bytes or MAX_TEXT_BYTES
    try:
        with archive.open(name) as stream:
            data = stream.read(limit + 1)
    except _DAMAGED as error:
        raise FormatError(f"{where} cannot be read ({error}). Make the file again.") from error
    if len(data) > limit:
        raise FormatError(f"{where} is longer than {limit:,} bytes: this is no file of poses.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{where} is not UTF-8 text ({error}).") from error


def read_member(archive: Archive, name: str) -> bytes:
    """Read a member as a whole.

    Raises
    ------
    FormatError
        The member is not there, or damaged.
    """
    try:
        with archive.open(name) as stream:
            return stream.read()
    except (*_DAMAGED, KeyError) as error:
        raise FormatError(
            f"{archive.source}: {name} is missing or damaged ({error}). Make the file again."
        ) from error


def image_size(archive: Archive, name: str) -> tuple[int, int]:
    """Read width and height in px of a picture as it is shown, turned as its EXIF data says.

    Raises
    ------
    FormatError
        It is no picture.
    """
    try:
        # PIL reads the header alone here, so a picture made to fill the memory does not.
        with archive.open(name) as stream, PIL.Image.open(stream) as image:
            turned = image.getexif().get(_EXIF_ORIENTATION) in _TURNED
            return (image.height, image.width) if turned else (image.width, image.height)
    except (*_NO_PICTURE, PIL.Image.DecompressionBombError) as error:
        raise FormatError(
            f"{archive.source}: {name} is not a picture that can be read ({error})."
        ) from error


def unpack(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Path:
    """Unpack a zip from outside into a new folder, whole or not at all.

    Parameters
    ----------
    source
        Zip; checked as `open_archive` does, so nothing lands outside of the folder.
    target
        Folder that does not exist yet.

    Raises
    ------
    FormatError
        The zip is refused or damaged, or the folder is there.
    """
    target = Path(target)
    if target.exists():
        raise FormatError(f"{target} exists. Choose a new folder to unpack {source} into.")
    stage = _beside(target)
    shutil.rmtree(stage, ignore_errors=True)
    try:
        with open_archive(source) as archive:
            stage.mkdir(parents=True)
            for name in archive.names:
                place = stage / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as packed, place.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
        stage.replace(target)
    except _DAMAGED as error:
        raise FormatError(f"{source} cannot be unpacked ({error}).") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return target


class ZipWriter:
    """A zip whose bytes depend on its content alone: no dates, no owners."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive

    def add(self, name: str, data: bytes | str) -> None:
        """Add one file; pictures are stored, text is compressed."""
        info = zipfile.ZipInfo(name, date_time=_ZIP_EPOCH)
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        info.create_system = 3
        stored = PurePosixPath(name).suffix.lower() in _STORED_SUFFIXES
        info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
        self._archive.writestr(info, data)


@contextmanager
def create_zip(path: str | os.PathLike[str]) -> Iterator[ZipWriter]:
    """Write a zip that appears under its name only when it is complete.

    Raises
    ------
    FormatError
        A folder has that name.
    """
    path = Path(path)
    if path.is_dir():
        raise FormatError(f"{path} is a folder. Give the name of a zip file in it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    try:
        with zipfile.ZipFile(part, "w") as archive:
            yield ZipWriter(archive)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class FolderWriter:
    """Files of a folder that is not in place yet."""

    def __init__(self, folder: Path):
        self._folder = folder

    def add(self, name: str, data: bytes | str) -> None:
        """Add one file."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def create_folder(target: Path, replaced: Sequence[str], *, last: str) -> Iterator[FolderWriter]:
    """Collect files beside a folder and move them in when all are written.

    Parameters
    ----------
    target
        May exist and hold other files.
    replaced
        Folders within it that are replaced as a whole.
    last
        File that is moved last: the one that makes the others count.

    Raises
    ------
    FormatError
        A file has the name of the folder.
    """
    if target.exists() and not target.is_dir():
        raise FormatError(f"{target} is a file. Give a folder, or a new name that ends in .zip.")
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = _beside(target)
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        yield FolderWriter(stage)
        if not target.exists():
            stage.replace(target)
            return
        for name in replaced:
            shutil.rmtree(target / name, ignore_errors=True)
            if (stage / name).exists():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (stage / name).replace(target / name)
        files = [path for path in stage.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: path.name == last):
            place = target / path.relative_to(stage)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _beside(path: Path) -> Path:
    """Name what is written beside a path until it is whole."""
    path = path.absolute()  # "." alone has no name
    return path.with_name(f".{path.name}.{os.getpid()}.part")


class _Folder:
    def __init__(self, source: Path):
        self.source = source
        self.names = sorted(
            (Path(folder) / name).relative_to(source).as_posix()
            for folder, _, files in _walk(source)
            for name in files
        )
        self.names = [name for name in self.names if not _is_junk(name)]
        odd = next((name for name in self.names if not is_utf8(name)), None)
        if odd is not None:
            raise FormatError(
                f"{source}: the name {printable(odd)} is not in UTF-8, as from an old disk or zip, "
                "so labels may not find their pictures. Rename it."
            )

    def open(self, name: str) -> BinaryIO:
        return (self.source / name).open("rb")


def _walk(source: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    # Data sets often link to folders of pictures; a link to a parent must not walk forever.
    seen: set[str] = set()
    for folder, folders, files in os.walk(source, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield folder, folders, files


class _Zip:
    def __init__(self, source: Path, archive: zipfile.ZipFile):
        self.source = source
        self._archive = archive
        self._members: dict[str, zipfile.ZipInfo] = {}
        members = archive.infolist()
        _check_size(source, members)
        for info in members:
            name = _decoded_name(info).replace("\\", "/")
            if info.is_dir() or _is_junk(name):
                continue
            _check_member(source, name, info)
            name = PurePosixPath(name).as_posix()
            if name in self._members:
                raise FormatError(f"{source} holds {name} twice. Make the zip again.")
            self._members[name] = info
        self.names = sorted(self._members)

    def open(self, name: str) -> BinaryIO:
        return cast(BinaryIO, self._archive.open(self._members[name]))


def _decoded_name(info: zipfile.ZipInfo) -> str:
    """Read a name that is UTF-8 without the flag that says so, as macOS packs it."""
    if not info.flag_bits & _UTF8_FLAG:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode("utf-8")
    return info.filename


def _check_size(source: Path, members: list[zipfile.ZipInfo]) -> None:
    size = source.stat().st_size
    if len(members) > MAX_MEMBERS:
        raise FormatError(
            f"{source} holds {len(members):,} files, more than {MAX_MEMBERS:,}. Split it."
        )
    unpacked = sum(info.file_size for info in members)
    packed = sum(info.compress_size for info in members)
    if packed > size or unpacked > MAX_EXPANSION * size + _SMALL_BYTES:
        raise FormatError(
            f"{source} would unpack {size / 2**20:.1f} MiB to {unpacked / 2**20:.0f} MiB: it is "
            "damaged or made to fill a disk. Do not use it."
        )


def _check_member(source: Path, name: str, info: zipfile.ZipInfo) -> None:
    path = PurePosixPath(name)
    named = path.parts and ":" not in path.parts[0] and "\0" not in info.filename
    if not named or path.is_absolute() or ".." in path.parts:
        raise FormatError(f"{source} wants to write outside of its folder: {name}. Refused.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise FormatError(f"{source} holds a link ({name}). Make the zip from real files instead.")
    if info.flag_bits & 0x1:
        raise FormatError(f"{source} is encrypted ({name}). Unpack it first, then give that.")


def _is_junk(name: str) -> bool:
    parts = name.split("/")
    return (
        parts[-1] in _JUNK_NAMES
        or parts[-1].startswith("._")
        or any(part in _JUNK_FOLDERS for part in parts[:-1])
    )
