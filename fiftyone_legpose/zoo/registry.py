"""The registry of weights: every training result is a version in FiftyOne's model zoo folder.

A version is a folder with ``weights.pt`` and ``version.json``. It is written under a hidden name
and renamed when it is whole, so a version that is listed is complete. Version "1" is the weights
that come with the package.
"""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.files import file_sha256
from fiftyone_legpose.zoo.checkpoints import (
    NAME,
    check_checkpoint,
    shipped_checkpoint,
    shipped_sha256,
)

SHIPPED = "1"
"""Name of the version that comes with the package."""

WEIGHTS_FILE = "weights.pt"
VERSION_FILE = "version.json"
_DEFAULT_FILE = "default"
_DRAFT_LIFETIME_S = 24 * 3600
_TEXT, _OBJECT = (str, type(None)), (dict,)
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("name", "parent", "created", "dataset", "labels_sha256"), _TEXT),
    **dict.fromkeys(("frames", "settings", "metrics", "libraries"), _OBJECT),
    "sha256": (str,),
    "right_first": (bool,),
}
"""Of the fields of a `Version` as JSON has them."""

_MAX_METADATA_BYTES = 256 * 2**20
_MAX_WEIGHTS_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Version:
    """One entry of the registry.

    Attributes
    ----------
    name
        Chosen by the user, unique; "1" is the shipped one.
    path
        The checkpoint.
    sha256
        Of the checkpoint, in hexadecimal.
    parent
        What training started from: a version's name, or the name of a file.
    created
        Date and time in UTC, ISO 8601.
    right_first
        Whether each pair of keypoints begins with the right side.
    dataset
        Name of the dataset it was trained on.
    frames
        ``{"train": [...], "val": [...]}``, each frame ``{"sample": id, "frame": number}``; images
        have frame 1.
    labels_sha256
        Fingerprint of the labels of these frames.
    settings
        What training was called with.
    metrics
        What validation gave at the end of training.
    libraries
        Versions of the libraries that matter for the result.
    """

    name: str
    path: Path
    sha256: str
    parent: str | None = None
    created: str | None = None
    right_first: bool = False
    dataset: str | None = None
    frames: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    labels_sha256: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)


def list_versions() -> list[Version]:
    """List the versions: the shipped one, then the others, oldest first.

    Returns
    -------
    list of Version
        Only whole ones. A folder whose description cannot be read is left out.
    """
    found = []
    for folder in _versions_folder().glob("[!.]*"):
        try:
            found.append(_read(folder))
        except (OSError, ValueError, TypeError, WeightsError):
            continue
    return [_shipped(), *sorted(found, key=lambda v: (v.created or "", v.name))]


def get_version(name: str) -> Version:
    """Look a version up by name.

    Raises
    ------
    WeightsError
        If there is none of this name, or its files are damaged.
    """
    if name == SHIPPED:
        shipped = Version(name=SHIPPED, path=shipped_checkpoint(), sha256=shipped_sha256())
        if check_checkpoint(shipped.path) != shipped.sha256:
            raise WeightsError(
                f"{shipped.path} is not the file that was published: install the package again."
            )
        return shipped
    folder = _versions_folder() / check_name(name)
    if not folder.is_dir():
        known = ", ".join(version.name for version in list_versions())
        raise WeightsError(f"No version {name!r} of {NAME}. There are: {known}.")
    try:
        version = _read(folder)
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"Version {name!r} is damaged ({error}): remove {folder}.") from None
    if check_checkpoint(version.path) != version.sha256:
        raise WeightsError(
            f"The weights of version {name!r} changed since they were registered: "
            f"remove {folder} or import them again."
        )
    return version


def has_version(name: str) -> bool:
    """Tell whether there is a version of this name."""
    return any(version.name == name for version in list_versions())


def current_version() -> str:
    """Give the name of the version that is used by default."""
    try:
        name = _default_file().read_text(encoding="utf-8").strip()
    except OSError:
        return SHIPPED
    return name or SHIPPED


def use_version(name: str) -> Version:
    """Make a version the default for everything that names none.

    Raises
    ------
    WeightsError
        If there is none of this name.
    """
    version = get_version(name)
    target = _default_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".default-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(version.name)
    Path(draft).replace(target)
    return version


def remove_version(name: str) -> None:
    """Remove a version; if it was the default, the shipped weights become it.

    Raises
    ------
    WeightsError
        If there is none of this name, or it is the shipped one.
    """
    if name == SHIPPED:
        raise WeightsError("Version 1 comes with the package and cannot be removed.")
    folder = _versions_folder() / check_name(name)
    if not folder.is_dir():
        raise WeightsError(f"No version {name!r} of {NAME} to remove.")
    if current_version() == name:
        _default_file().unlink()
    with _draft() as draft:
        # Renamed first, so that an interrupted removal leaves no half of a version.
        folder.rename(draft / name)


def add_version(checkpoint: Path, version: Version) -> Version:
    """Register a checkpoint under a new name.

    Parameters
    ----------
    checkpoint
        Copied into the registry.
    version
        Its description; `path` and `sha256` are filled in, and `created` where it is missing.

    Returns
    -------
    Version
        As it was stored.

    Raises
    ------
    WeightsError
        If the name is taken or cannot name a folder, or the file is no checkpoint.
    """
    folder = _versions_folder() / check_name(version.name)
    if version.name == SHIPPED or folder.exists():
        raise WeightsError(f"There is a version {version.name!r} already: choose another name.")
    check_checkpoint(checkpoint)
    with _draft() as draft:
        shutil.copyfile(checkpoint, draft / WEIGHTS_FILE)
        stored = replace(
            version,
            path=folder / WEIGHTS_FILE,
            sha256=file_sha256(draft / WEIGHTS_FILE),
            created=version.created or datetime.now(UTC).isoformat(timespec="seconds"),
        )
        (draft / VERSION_FILE).write_text(describe(stored), encoding="utf-8")
        try:
            draft.rename(folder)
        except OSError:
            raise WeightsError(f"There is a version {version.name!r} already.") from None
    return stored


def lineage(*sha256: str) -> list[Version]:
    """List the versions of some checkpoints and those that they were trained from."""
    versions = list_versions()
    ahead, done, found = set(sha256), set[str](), []
    while ahead:
        done.add(digest := ahead.pop())
        same = [version for version in versions if version.sha256 == digest]
        found += same
        ahead |= {base for v in same if (base := v.settings.get("base_sha256"))} - done
    return found


def is_known(sha256: str) -> bool:
    """Tell whether a checkpoint is the shipped one or one of the registry."""
    return any(version.sha256 == sha256 for version in list_versions())


def describe(version: Version) -> str:
    """Write a version's description as JSON, without the machine's paths."""
    values = asdict(version)
    del values["path"]
    return json.dumps(values, indent=1, ensure_ascii=False)


def _shipped() -> Version:
    try:
        path = shipped_checkpoint()
    except WeightsError:
        # A listing must not fail because of the file that nobody asked for.
        path = Path(f"{NAME}.pt")
    try:
        digest = shipped_sha256()
    except WeightsError:
        digest = ""
    return Version(name=SHIPPED, path=path, sha256=digest)


def _read(folder: Path) -> Version:
    values = json.loads((folder / VERSION_FILE).read_text(encoding="utf-8"))
    if not (folder / WEIGHTS_FILE).is_file():
        raise WeightsError(f"{folder} has no {WEIGHTS_FILE}.")
    return replace(_from_json(values), name=folder.name, path=folder / WEIGHTS_FILE)


def _from_json(values: Mapping[str, Any]) -> Version:
    """Build a version from its description, leaving out what a newer release may have added."""
    known = {entry.name for entry in fields(Version)} - {"path"}
    kept = {key: value for key, value in values.items() if key in known}
    filled: dict[str, Any] = {"sha256": "", "path": Path()} | kept
    return Version(**filled)


def is_name(name: str) -> bool:
    """Tell whether a text can name a version."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) is not None


def check_name(name: str) -> str:
    """Check that a name can name a version, and give it back.

    Raises
    ------
    WeightsError
        If it holds what a folder's name should not.
    """
    if not is_name(name):
        raise WeightsError(
            f"{name!r} cannot name a version: use up to 64 letters, digits, dots, dashes."
        )
    return name


def family_folder() -> Path:
    """Give the folder of everything that belongs to these weights, under the model zoo's."""
    import fiftyone as fo

    return Path(fo.config.model_zoo_dir) / NAME


def _versions_folder() -> Path:
    return family_folder() / "versions"


def _default_file() -> Path:
    return family_folder() / _DEFAULT_FILE


@contextmanager
def _draft() -> Iterator[Path]:
    """Give a hidden folder beside the versions; what is still in it at the end is deleted."""
    parent = _versions_folder()
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(".draft-*"):
        # Of a process that was killed; a younger one may belong to a process that is at work.
        if time.time() - left.stat().st_mtime > _DRAFT_LIFETIME_S:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=".draft-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
