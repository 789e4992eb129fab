"""Where a YOLO dataset keeps what: data.yaml, list files and folders, in every layout in use."""

import re
import reprlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import yaml

from cvat_bridge.archives import Archive, read_text
from cvat_bridge.errors import FormatError
from cvat_bridge.names import plain_name

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)

OTHER_KEYS = frozenset(
    {
        "channels",
        "download",
        "flip_idx",
        "kpt_names",
        "kpt_oks_sigmas",
        "kpt_shape",
        "names",
        "nc",
        "path",
        "yaml_file",
    }
)
"""Keys of data.yaml that name no subset."""

_USUAL_SUBSETS = {"train", "val", "test"}
_MOST_KEYPOINTS = 1000

# Some 100,000 paths of pictures; yaml is read at about 1 MiB a second.
_MOST_YAML_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Config:
    """What data.yaml says; subsets map to list files, folders or pictures as written there."""

    path: str
    labels: tuple[str, ...]
    keypoint_count: int
    has_visibility: bool
    keypoint_names: tuple[str, ...] | None
    flip_index: tuple[int, ...] | None
    subsets: dict[str, list[str]]

    @property
    def root(self) -> PurePosixPath:
        """Folder that the paths in the dataset start from."""
        return PurePosixPath(self.path).parent


@dataclass(frozen=True)
class Entry:
    """One picture of a subset; image and label file are None where the archive lacks them."""

    name: str
    subset: str
    image: str | None
    label_file: str | None


def read_config(archive: Archive) -> Config:
    """Find and read data.yaml.

    Raises
    ------
    FormatError
        There is none, there are several, or it describes no pose dataset.
    """
    candidates = sorted(
        (name for name in archive.names if name.lower().endswith((".yaml", ".yml"))),
        key=lambda name: (name.count("/"), PurePosixPath(name).stem != "data", name),
    )
    found = [(name, read_yaml(archive, name)) for name in candidates[:20]]
    posed = [(name, values) for name, values in found if "kpt_shape" in values]
    if not posed:
        hint = f" ({found[0][0]} has no kpt_shape)" if found else ""
        raise FormatError(
            f"{archive.source} is no YOLO pose dataset: it needs a data.yaml with kpt_shape and "
            f"names{hint}. In CVAT choose the export format 'Ultralytics YOLO Pose 1.0'."
        )
    path, values = posed[0]
    if len(posed) > 1 and PurePosixPath(path).stem != "data":
        raise FormatError(
            f"{archive.source} holds several datasets ({', '.join(name for name, _ in posed)}). "
            "Name the right one data.yaml or give its folder."
        )
    return parse_config(values, path, where=f"{archive.source}: {path}")


def read_yaml(archive: Archive, name: str) -> dict[str, Any]:
    """Read a yaml mapping; no tag in it can make anything run."""
    where = f"{archive.source}: {name}"
    try:
        values = yaml.safe_load(read_text(archive, name, limit_bytes=_MOST_YAML_BYTES))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{where} is not valid yaml: {error}") from error
    if not isinstance(values, dict):
        raise FormatError(f"{where} does not hold 'key: value' lines.")
    return values


def parse_config(values: dict[str, Any], path: str, where: str) -> Config:
    """Check the values of a data.yaml."""
    shape = values.get("kpt_shape")
    if not (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(n) is int for n in shape)
        and 1 <= shape[0] <= _MOST_KEYPOINTS
        and shape[1] in (2, 3)
    ):
        raise FormatError(
            f"{where}: kpt_shape is {reprlib.repr(shape)}; it must be [K, 3] (x, y, visibility) "
            "or [K, 2] for K keypoints."
        )
    labels = _numbered(values.get("names"), where, "names")
    subsets = {
        str(key): [value] if isinstance(value, str) else value
        for key, value in values.items()
        if key not in OTHER_KEYS and _is_path_or_paths(value)
    }
    return Config(
        path=path,
        labels=labels,
        keypoint_count=shape[0],
        has_visibility=shape[1] == 3,
        keypoint_names=_keypoint_names(values.get("kpt_names"), shape[0], where),
        flip_index=_flip_index(values.get("flip_idx"), shape[0], where),
        subsets=subsets,
    )


def list_entries(archive: Archive, config: Config) -> list[Entry]:
    """Find every picture of every subset, in the order of the lists.

    Raises
    ------
    FormatError
        A list file is missing, or two pictures of a subset would share a label file.
    """
    members = set(archive.names)
    entries: list[Entry] = []
    for subset, values in config.subsets.items():
        found: dict[str, tuple[str, Entry]] = {}
        for value in values:
            for path in _pictures(archive, members, config, subset, value):
                entry = _locate(path, subset, config.root, members)
                before, _ = found.setdefault(entry.name, (path, entry))
                if _parts(before) != _parts(path):
                    raise FormatError(
                        f"{archive.source}: the pictures {before} and {path} of subset {subset} "
                        "have the same name, so their labels cannot be told apart. Rename one."
                    )
        entries += [entry for _, entry in found.values()]
    entries = _with_look_alikes(archive, config, entries)
    if not entries and (not config.subsets or any(True for _ in label_files(archive, config))):
        raise FormatError(
            f"{archive.source}: {config.path} lists no pictures that are there. It needs a line "
            "such as 'train: train.txt' or 'train: images/train'."
        )
    return entries


def _with_look_alikes(archive: Archive, config: Config, entries: list[Entry]) -> list[Entry]:
    """Give a picture without labels those whose file is named like it in another spelling.

    Otherwise a labelled picture would pass for one that shows nobody.

    Raises
    ------
    FormatError
        Several files or pictures are named alike.
    """
    taken = {entry.label_file for entry in entries if entry.image}
    free: dict[str, list[str]] = defaultdict(list)
    for name in label_files(archive, config):
        if name not in taken:
            free[plain_name(name)].append(name)
    chosen: dict[str, str] = {}
    for entry in entries if free else ():
        if entry.image is None or entry.label_file is not None:
            continue
        found = free.get(plain_name(_label_path(PurePosixPath(entry.image))), [])
        other = chosen.setdefault(found[0], entry.image) if found else entry.image
        if len(found) > 1 or other != entry.image:
            raise FormatError(
                f"{archive.source}: which labels belong to {entry.image}? {', '.join(found)} and "
                f"{other} are named alike. Name each label file exactly like its picture."
            )
    label_of = {image: label for label, image in chosen.items()}
    return [
        replace(entry, label_file=entry.label_file or label_of.get(entry.image or ""))
        for entry in entries
        if entry.image or entry.label_file not in chosen
    ]


def _label_path(picture: PurePosixPath) -> str:
    return (_labels_folder(picture.parent) / picture.name).with_suffix(".txt").as_posix()


def label_files(archive: Archive, config: Config) -> Iterator[str]:
    """List the members that look like label files."""
    for name in archive.names:
        path = PurePosixPath(name)
        if (
            path.suffix == ".txt"
            and "labels" in path.parts[:-1]
            and path.is_relative_to(config.root)
        ):
            yield name


def _is_path_or_paths(value: Any) -> bool:
    # An empty `test:` names no folder; as a path it would be the whole dataset.
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, list) and bool(value) and all(isinstance(i, str) for i in value)


def _numbered(values: Any, where: str, key: str) -> tuple[str, ...]:
    if isinstance(values, dict):
        if set(values) != set(range(len(values))):
            raise FormatError(f"{where}: {key} must be numbered 0, 1, 2, ... without gaps.")
        values = [values[index] for index in range(len(values))]
    if not isinstance(values, list) or not values or not _are_scalars(values):
        raise FormatError(f"{where}: {key} must list the class names.")
    return tuple(str(value) for value in values)


def _keypoint_names(values: Any, count: int, where: str) -> tuple[str, ...] | None:
    if isinstance(values, dict) and values:
        values = next(iter(values.values()))
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != count or not _are_scalars(values):
        raise FormatError(f"{where}: kpt_names must name each of the {count} keypoints.")
    return tuple(str(value) for value in values)


def _flip_index(values: Any, count: int, where: str) -> tuple[int, ...] | None:
    if values is None or values == []:
        return None
    numbers = isinstance(values, list) and all(type(value) is int for value in values)
    if not numbers or sorted(values) != list(range(count)):
        raise FormatError(f"{where}: flip_idx must hold each of 0 to {count - 1} once.")
    return tuple(values)


def _are_scalars(values: list[Any]) -> bool:
    # A few lines of yaml can stand for a list of a billion items, until somebody prints it.
    return all(isinstance(value, str | int | float) for value in values)


def _pictures(
    archive: Archive, members: set[str], config: Config, subset: str, value: str
) -> Iterable[str]:
    """Expand one value of data.yaml to paths of pictures, there or not."""
    suffix = PurePosixPath(value).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return [value]
    if suffix != ".txt":
        return _folder(archive, config, value)
    name = _first_member(_candidates(config.root, _parts(value)), members)
    if name is not None:
        return _read_list(archive, name)
    from_folder = _folder(archive, config, f"images/{subset}")
    if not from_folder and (subset in _USUAL_SUBSETS or PurePosixPath(value).stem == subset):
        raise FormatError(
            f"{archive.source}: data.yaml names the list {value} for {subset}, which is not there."
        )
    return from_folder


def _read_list(archive: Archive, name: str) -> list[str]:
    lines = read_text(archive, name).replace("\r", "\n").split("\n")
    paths = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    others = [
        (number, path)
        for number, path in paths
        if PurePosixPath(path).suffix.lower() not in IMAGE_SUFFIXES
    ]
    if len(others) == len(paths):
        return []  # data.yaml may name a licence or a readme the way it names a list
    if others:
        number, path = others[0]
        raise FormatError(
            f"{archive.source}: {name}, line {number}: {path[:80]!r} is not the path of a picture."
        )
    return [path for _, path in paths]


def _folder(archive: Archive, config: Config, value: str) -> list[str]:
    """List the pictures of a folder, and those that only have labels there."""
    parts = _parts(value)
    for candidate in _candidates(config.root, parts):
        folder = PurePosixPath(candidate)
        labels = _labels_folder(folder)
        pictures = {}
        for name in archive.names:
            path = PurePosixPath(name)
            if path.suffix.lower() in IMAGE_SUFFIXES and _is_below(name, folder):
                pictures[path.relative_to(folder).with_suffix("")] = name
        if labels != folder:
            for name in archive.names:
                if name.endswith(".txt") and _is_below(name, labels):
                    stem = PurePosixPath(name).relative_to(labels).with_suffix("")
                    pictures.setdefault(stem, (folder / stem).as_posix() + ".jpg")
        if pictures:
            return [pictures[stem] for stem in sorted(pictures)]
    return []


def _is_below(name: str, folder: PurePosixPath) -> bool:
    return folder == PurePosixPath(".") or name.startswith(f"{folder}/")


def _labels_folder(images: PurePosixPath) -> PurePosixPath:
    parts = list(images.parts)
    if "images" not in parts:
        return images
    last = len(parts) - 1 - parts[::-1].index("images")
    return PurePosixPath(*parts[:last], "labels", *parts[last + 1 :])


def _locate(path: str, subset: str, root: PurePosixPath, members: set[str]) -> Entry:
    """Find picture and label file of a listed path, as ultralytics maps images/ to labels/."""
    parts = _parts(path)
    folders, file_name = parts[:-1], parts[-1]
    below = folders[len(folders) - folders[::-1].index("images") :] if "images" in folders else []
    image = label_file = None
    for candidate in _candidates(root, parts, keep=1 + len(below) + ("images" in folders)):
        picture = PurePosixPath(candidate)
        text = _label_path(picture)
        image = candidate if candidate in members else None
        label_file = text if text in members else None
        if image or label_file:
            break
    found = image or label_file
    if "images" not in folders and found:
        below = list(PurePosixPath(found).relative_to(root).parts[:-1])
    if below and below[0] == subset:
        below = below[1:]
    name = PurePosixPath(*below, file_name).with_suffix("").as_posix()
    return Entry(name, subset, image, label_file)


def _parts(path: str) -> list[str]:
    """Split a path from any system; what leads out of the dataset does not count."""
    path = re.sub(r"^[A-Za-z]:", "", path.replace("\\", "/"))
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return parts or ["."]


def _candidates(root: PurePosixPath, parts: list[str], keep: int = 1) -> Iterator[str]:
    """Try a path below the root, then without its first folders.

    Lists begin with folders of another machine, or with CVAT's ``data/``, which is in no zip.
    """
    for start in range(max(len(parts) - keep, 0) + 1):
        yield root.joinpath(*parts[start:]).as_posix()


def _first_member(candidates: Iterable[str], members: set[str]) -> str | None:
    return next((name for name in candidates if name in members), None)
