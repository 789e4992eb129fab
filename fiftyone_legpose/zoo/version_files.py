"""Versions of the weights as single files, to give to somebody else or to take from them."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.zoo.checkpoints import check_checkpoint
from fiftyone_legpose.zoo.registry import (
    _MAX_METADATA_BYTES,
    _MAX_WEIGHTS_BYTES,
    _TYPES,
    VERSION_FILE,
    WEIGHTS_FILE,
    Version,
    _draft,
    _from_json,
    add_version,
    describe,
    get_version,
    is_known,
)


def export_version(name: str, target: str | Path) -> Path:
    """Write a version to one file, for another machine.

    Parameters
    ----------
    name
        Of the version.
    target
        ``.pt`` for the bare checkpoint, ``.zip`` for checkpoint and description. The description
        holds names of datasets and samples' ids, no file names.

    Returns
    -------
    Path

    Raises
    ------
    WeightsError
        If there is no such version, the target exists or has another ending.
    """
    version, target = get_version(name), Path(target).expanduser()
    if target.suffix not in (".pt", ".zip"):
        raise WeightsError(f"{target}: export to a .pt or .zip file.")
    if target.exists():
        raise WeightsError(f"{target} exists already: choose another name.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        draft = Path(folder) / target.name
        if target.suffix == ".pt":
            shutil.copyfile(version.path, draft)
        else:
            with zipfile.ZipFile(draft, "w") as archive:
                archive.write(version.path, WEIGHTS_FILE)
                archive.writestr(VERSION_FILE, describe(version))
        draft.replace(target)
    return target


def import_version(
    source: str | Path,
    name: str | None = None,
    *,
    right_first: bool | None = None,
    trust: bool = False,
) -> Version:
    """Register a checkpoint, or a version that `export_version` wrote elsewhere.

    Parameters
    ----------
    source
        A ``.pt`` or ``.zip`` file.
    name
        Of the new version; by default the exported one's own, or the file's.
    right_first
        Whether each pair of keypoints begins with the right side, as in the weights of the author
        of the method; None takes what an export says, else left first.
    trust
        Whether the file's origin is known to be good: a checkpoint can run code when it is loaded.

    Returns
    -------
    Version

    Raises
    ------
    WeightsError
        If the file is not trusted, no checkpoint or no export, its description is not what
        `export_version` writes, or the name is taken.
    """
    source = Path(source).expanduser()
    with _draft() as draft:
        if source.suffix == ".zip":
            checkpoint, described = _unpack(source, draft)
        else:
            checkpoint, described = source, {}
        _check_description(described, source)
        digest = check_checkpoint(checkpoint)
        if not trust and not is_known(digest):
            raise WeightsError(
                f"{source} (sha256 {digest}) is not known here, and a checkpoint can run code when "
                "it is loaded. If you know where it comes from, say trust=True (--trust)."
            )
        if described.get("sha256", digest) != digest:
            raise WeightsError(f"{source} is damaged: its weights do not match its description.")
        if right_first is not None:
            described = described | {"right_first": right_first}
        version = _from_json(described | {"name": name or described.get("name") or source.stem})
        return add_version(checkpoint, version)


def _check_description(values: Mapping[str, Any], source: Path) -> None:
    """Refuse a foreign description that would be stumbled over later."""
    for key in sorted(_TYPES.keys() & values.keys()):
        kinds = _TYPES[key]
        if not isinstance(values[key], kinds):
            raise WeightsError(
                f"{source} is no exported version: {key} in {VERSION_FILE} is "
                f"{type(values[key]).__name__}, not {kinds[0].__name__}."
            )
    for side, frames in values.get("frames", {}).items():
        if side not in ("train", "val") or not (
            isinstance(frames, list) and all(map(_is_frame, frames))
        ):
            raise WeightsError(
                f"{source} is no exported version: frames in {VERSION_FILE} are no lists of sample "
                "and frame under train and val."
            )


def _is_frame(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("sample"), str)
        and isinstance(value.get("frame"), int)
    )


def _unpack(source: Path, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Take the two files of an export out of its zip, by name: other members are not touched."""
    if not source.is_file():
        raise WeightsError(f"No file {source}: check the path.")
    try:
        with zipfile.ZipFile(source) as archive:
            if archive.getinfo(VERSION_FILE).file_size > _MAX_METADATA_BYTES:
                raise WeightsError(f"{source}: {VERSION_FILE} is too large to be true.")
            if archive.getinfo(WEIGHTS_FILE).file_size > _MAX_WEIGHTS_BYTES:
                raise WeightsError(f"{source}: {WEIGHTS_FILE} is too large to be true.")
            described = json.loads(archive.read(VERSION_FILE))
            with archive.open(WEIGHTS_FILE) as packed, (folder / WEIGHTS_FILE).open("wb") as file:
                shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise WeightsError(f"{source} is no exported version: {error}.") from None
    if not isinstance(described, dict):
        raise WeightsError(f"{source} is no exported version: {VERSION_FILE} is no object.")
    return folder / WEIGHTS_FILE, described
