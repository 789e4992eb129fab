"""Labels made elsewhere: an export, a task backup, or tasks on a CVAT server, read alike."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cvat_bridge.archives import open_archive, read_member
from cvat_bridge.errors import FormatError
from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.label_files import short_names, to_shares, without_suffix
from fiftyone_legpose.cvat.login import Login, host_of
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.files import write_whole
from fiftyone_legpose.label_formats.read import read_labels_of

if TYPE_CHECKING:
    from cvat_bridge.server import Server, Task

_ON_SERVER = re.compile(
    r"(?:(?P<url>https?://[^?#]+?)/)?(?P<kind>task|project)s?[:/](?P<number>\d+)(?:[/?#].*)?"
)
# Windows takes none of these in a file's name. Everything else stays: labels find their pictures
# by name.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*]+')


@dataclass(frozen=True)
class Place:
    """A task or project on a server."""

    kind: str
    number: int
    url: str | None


@dataclass(frozen=True)
class Labels:
    """The labels of one file or task; points are shares of the picture, or px of the frame."""

    origin: str
    poses: dict[str, list[Pose]]
    """By name of the picture, as of `LabelFile`."""
    keypoint_count: int
    keypoint_names: tuple[str, ...] | None
    looked_at: bool
    """Somebody said that the frames are finished, so one without poses shows nobody."""
    sizes: dict[str, tuple[int, int]]
    """Width and height in px, where known."""
    unfinished: int = 0
    """Frames left out, because their jobs are not completed."""
    in_px: bool = False
    every_frame: bool = False
    """As of `LabelFile`."""


def parse_source(source: str | Path) -> Place | Path:
    """Tell a file from ``task:12``, ``project:3`` or the address of one in a browser.

    Raises
    ------
    DatasetError
        It is neither.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    found = _ON_SERVER.fullmatch(str(source))
    if found is None:
        raise DatasetError(
            f"{source} is no file, and no task or project of CVAT: write task:12, project:3, or "
            "the address of one."
        )
    return Place(found["kind"], int(found["number"]), found["url"])


def check_login(source: Place | Path, login: Login) -> None:
    """Refuse a source on another server than the login is for.

    Raises
    ------
    DatasetError
        A task of the same number there is another one, and the login is nobody else's business.
    """
    if isinstance(source, Path) or source.url is None:
        return
    if login.url is None or host_of(login.url) != host_of(source.url):
        told = f"is for {host_of(login.url)}" if login.url else "names no server"
        raise DatasetError(
            f"{source.kind} {source.number} is on {source.url}, but the login {told}: if you trust "
            "that server, give it as url, or in FIFTYONE_CVAT_URL, with a login to it."
        )


def read_labels(
    source: Place | Path, login: Login, *, label: str | None, unfinished: bool
) -> Iterator[Labels]:
    """Read a file, or each task.

    Parameters
    ----------
    source
        From `parse_source`.
    login
        Where to look for tasks.
    label
        Name of the skeleton label, where there are several.
    unfinished
        Also read frames whose jobs are not completed.
    """
    if isinstance(source, Path):
        found = read_labels_of(source, label=label)
        yield Labels(
            origin=str(source),
            poses=dict(found.poses),
            keypoint_count=found.keypoint_count,
            keypoint_names=found.keypoint_names,
            looked_at=False,
            sizes=dict(found.sizes),
            in_px=found.in_px,
            every_frame=found.every_frame,
        )
        return
    with login.connect() as server:
        for task_id in _task_ids(server, source):
            yield _from_task(server, task_id, label, unfinished)


def write_pictures(
    source: Place | Path, login: Login, folder: Path, *, label: str | None = None
) -> list[Path]:
    """Write the pictures of a file or of tasks into a folder.

    Parameters
    ----------
    source, login, label
        As for `read_labels`.
    folder
        Made where it is not there.

    Returns
    -------
    list of Path
        Named as the pictures are there; empty where a file holds none.

    Raises
    ------
    FormatError
        A picture that the file tells of is missing or damaged.
    """
    written: list[Path] = []
    for archive_path in _with_pictures(source, login):
        found = read_labels_of(archive_path, label=label)
        if not found.pictures:
            continue
        with open_archive(archive_path) as archive:
            missing = set(found.pictures.values()).difference(archive.names)
            if missing:
                raise FormatError(
                    f"{source} lacks {len(missing)} of its {len(found.pictures)} pictures, the "
                    f"first is {min(missing)}: make the file again, or name a dataset that has "
                    "the frames."
                )
            for name, member in found.pictures.items():
                target = folder / _safe_path(name + PurePosixPath(member).suffix)
                target.parent.mkdir(parents=True, exist_ok=True)
                if target in written:
                    raise DatasetError(
                        f"Two pictures are named {target.name}: import one task at a time, each "
                        "into a folder of its own."
                    )
                content = read_member(archive, member)
                if target.exists() and target.read_bytes() != content:
                    raise DatasetError(
                        f"{target} is another picture of that name: give a folder of its own to "
                        "each task."
                    )
                with write_whole(target) as part:
                    part.write_bytes(content)
                written.append(target)
    return written


def _from_task(server: "Server", task_id: int, label: str | None, unfinished: bool) -> Labels:
    found = server.download(task_id, finished_only=not unfinished, label=label)
    frames = range(len(found.frame_names))
    if not unfinished:
        chosen = sorted(found.finished)
    else:
        chosen = [i for i in frames if i not in found.deleted]
    origin = f"{server.url}/tasks/{task_id}"
    names = short_names([without_suffix(found.frame_names[i]) for i in chosen], origin)
    stems = dict(zip(chosen, names, strict=True))
    return Labels(
        origin=origin,
        poses={
            stem: [to_shares(pose, found.sizes[i]) for pose in found.poses.get(i, ())]
            for i, stem in stems.items()
        },
        keypoint_count=len(found.label.skeleton.keypoints),
        keypoint_names=found.label.skeleton.keypoints,
        looked_at=not unfinished,
        sizes={stem: found.sizes[i] for i, stem in stems.items()},
        unfinished=len(frames) - len(found.deleted) - len(chosen),
    )


def _task_ids(server: "Server", place: Place) -> list[int]:
    if place.kind == "task":
        return [place.number]
    tasks: list[Task] = server.tasks(place.number)
    return [task.id for task in tasks if task.size]


def _with_pictures(source: Place | Path, login: Login) -> Iterator[Path]:
    if isinstance(source, Path):
        yield source
        return
    with login.connect() as server, TemporaryDirectory() as scratch:
        for task_id in _task_ids(server, source):
            path = Path(scratch) / f"task-{task_id}.zip"
            yield server.export_yolo_pose(task_id, path, include_images=True)
            path.unlink()


def _safe_path(name: str) -> PurePosixPath:
    # The archive is not ours: no part of a name may lead out of the folder.
    parts = (_UNSAFE.sub("_", part).lstrip(".") for part in name.replace("\\", "/").split("/"))
    return PurePosixPath(*([part for part in parts if part] or ["picture"]))
