"""export: keypoints, gait and motion as files that other programs read, by the file's name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.checks import check_whole
from fiftyone_legpose.dataset.frames import has_value, is_video, source_dataset, values
from fiftyone_legpose.dataset.frames import path as frame_path
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.exports.c3d import write_c3d
from fiftyone_legpose.exports.coco_keypoints import write_coco
from fiftyone_legpose.exports.deeplabcut import write_dlc
from fiftyone_legpose.exports.gait_tables import TABLES, write_table
from fiftyone_legpose.exports.mot import has_angles, write_mot
from fiftyone_legpose.exports.people import Person, read_people
from fiftyone_legpose.exports.trajectories import Written, write_trajectories
from fiftyone_legpose.exports.trc import write_trc
from fiftyone_legpose.exports.wide import write_wide
from fiftyone_legpose.files import write_whole
from fiftyone_legpose.progress import Report, reporting

Format = Literal[
    "csv",
    "parquet",
    "coco",
    "wide",
    "events",
    "strides",
    "parameters",
    "cycles",
    "dlc",
    "trc",
    "mot",
    "c3d",
]

ENDINGS: Final[Mapping[str, Format]] = {
    ".events.csv": "events",
    ".strides.csv": "strides",
    ".parameters.csv": "parameters",
    ".cycles.csv": "cycles",
    ".wide.csv": "wide",
    ".dlc.csv": "dlc",
    ".csv": "csv",
    ".parquet": "parquet",
    ".json": "coco",
    ".trc": "trc",
    ".mot": "mot",
    ".c3d": "c3d",
}
"""What a file's name says of its format, the longest ending first."""

_MOTION: Final[Mapping[str, Callable[[Person, Path], int]]] = {
    "dlc": write_dlc,
    "trc": write_trc,
    "mot": write_mot,
    "c3d": write_c3d,
}
"""Formats of one person's motion."""


@dataclass(frozen=True)
class ExportSummary:
    """What `export` wrote."""

    path: Path
    """The file, or the first of several."""
    rows: int
    """Of tables; of a COCO file the persons, of motion the frames in all files."""
    frames: int
    """Frames that somebody is on; 0 of what is no trajectory."""
    corrected_frames: int
    """Frames of the view that a person has looked at, empty ones included."""
    files: tuple[Path, ...]


@takes_name("dataset_or_view")
def export(
    dataset_or_view: Any,
    path: str | Path,
    *,
    format: Format | None = None,  # noqa: A002 - the word that users know
    field: str = fields.PREDICTIONS,
    gt_field: str = fields.GROUND_TRUTH,
    smooth_field: str = fields.SMOOTH,
    progress: Report | bool | None = None,
) -> ExportSummary:
    """Write keypoints over time, what gait found, or motion files, by the file's name.

    Parameters
    ----------
    dataset_or_view
        Videos or images; of a view only its own frames are written as trajectories, and the whole
        videos as all else.
    path
        The file, replaced where it is there, and complete or not there at all. Motion files hold
        one person of one video: where there are several, the video's name and the track are added
        to each file's name.
    format
        By default what the file's name ends in (`ENDINGS`), and CSV where it has no ending:
        ``csv``, ``parquet`` (see `exports.trajectories`), ``coco``, ``wide``; ``events``,
        ``strides``, ``parameters``, ``cycles`` (see `exports.gait_tables`); ``dlc``, ``trc``,
        ``mot``, ``c3d`` (see the modules of these names).
    field
        The predictions.
    gt_field
        The corrections.
    smooth_field
        The clean paths: their columns in trajectories, and all of motion files.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    ExportSummary

    Raises
    ------
    DatasetError
        There is nothing to write, no such format or one that the file's name contradicts, or the
        file cannot be written.
    MissingToolError
        A format needs a package that is not installed.
    """
    target = Path(path).expanduser()
    view = dataset_or_view
    check_whole(view)
    kind = find_format(target, format)
    with reporting("export", progress) as report:
        if kind in TABLES:
            with write_whole(target) as part:
                rows = write_table(view, kind, part)
            return ExportSummary(target, rows, 0, 0, (target,))
        if kind == "wide":
            _check_motion(view, target)
            with write_whole(target) as part:
                rows = write_wide(read_people(view, smooth_field), part)
            return ExportSummary(target, rows, 0, 0, (target,))
        if kind in _MOTION:
            return _write_motion(view, target, kind, smooth_field, report)
        names = _trajectory_fields(view, field, gt_field, smooth_field)
        if kind == "coco":
            found = write_coco(view, target, names["field"], names["gt_field"], report)
            return _summary(target, found)
        table: Literal["csv", "parquet"] = "parquet" if kind == "parquet" else "csv"
        with write_whole(target) as part:
            found = write_trajectories(view, part, table, report=report, **names)
    return _summary(target, found)


def _summary(target: Path, found: Written) -> ExportSummary:
    return ExportSummary(target, found.rows, found.frames, found.corrected_frames, (target,))


def find_format(target: Path, given: str | None) -> Format:
    """Tell the format of a file.

    Raises
    ------
    DatasetError
        Its name says none, or another one than was given.
    """
    name = target.name.lower()
    of_name = next((kind for ending, kind in ENDINGS.items() if name.endswith(ending)), None)
    known = ", ".join(get_args(Format))
    if given is not None:
        if given not in get_args(Format):
            raise DatasetError(
                f"there is no format {given!r}: take one of {known}; for YOLO-pose see "
                "dataset.export and YOLOPoseDataset"
            )
        table_as_csv = of_name == "csv" and given in (*TABLES, "wide", "dlc")
        if of_name not in (None, given) and not table_as_csv:
            [ending] = [ending for ending, kind in ENDINGS.items() if kind == given]
            raise DatasetError(
                f"{target.name} would hold {given}: name it {target.stem}{ending}, or take the "
                f"format {of_name}"
            )
        return given  # type: ignore[return-value]
    if of_name is not None:
        return of_name
    if target.suffix:
        raise DatasetError(
            f"no format has the ending {target.suffix!r} of {target.name}: end it in one of "
            f"{', '.join(ENDINGS)}, or give the format"
        )
    return "csv"


def _trajectory_fields(
    view: Any, field: str, gt_field: str, smooth_field: str
) -> dict[str, str | None]:
    """Name the fields that are there; refuse where there is nothing to write."""
    there = [name for name in (field, gt_field) if _has_keypoints(view, name)]
    if not there:
        raise DatasetError(
            f"there are no keypoints in {field!r} nor in {gt_field!r}; run predict first, or name "
            "the fields"
        )
    kinds = values(view, *(f"{name}._cls" for name in there))
    if not any(kind is not None for column in kinds for kind in column):
        raise DatasetError(
            f"no frame has predictions in {field!r} or corrections in {gt_field!r}; run predict "
            "first, or name the fields"
        )
    smooth = is_video(view) and _has_keypoints(view, smooth_field)
    smooth = smooth and has_value(source_dataset(view), smooth_field)
    return {
        "field": field if field in there else None,
        "gt_field": gt_field if gt_field in there else None,
        "smooth_field": smooth_field if smooth else None,
    }


def _has_keypoints(view: Any, field: str) -> bool:
    return view.get_field(f"{frame_path(view, field)}.keypoints") is not None


def _write_motion(
    view: Any,
    target: Path,
    kind: str,
    smooth_field: str,
    report: Report,
) -> ExportSummary:
    """Write a file for each person."""
    _check_motion(view, target)
    # Counted first, so that one person alone gets the very name that was asked for.
    suited = has_angles if kind == "mot" else _anybody
    count = sum(map(suited, read_people(view, smooth_field)))
    if not count and kind == "mot":
        raise DatasetError(
            "nobody walks in these videos seen from aside, so there are no joint angles: run gait "
            "first, or take another format"
        )
    if not count:
        raise DatasetError("nobody has a clean path in these videos; run predict and smooth first")
    files: list[Path] = []
    frames = 0
    for person in filter(suited, read_people(view, smooth_field)):
        report(len(files), count, person.video)
        file = target
        if count > 1:
            ending = "".join(target.suffixes[-2:]) if kind == "dlc" else target.suffix
            stem = target.name.removesuffix(ending)
            file = target.with_name(f"{stem}_{Path(person.video).stem}_{person.track}{ending}")
        with write_whole(file) as part:
            frames += _MOTION[kind](person, part)
        files.append(file)
    report(count, count, f"{count} files")
    return ExportSummary(files[0], frames, 0, 0, tuple(files))


def _check_motion(view: Any, target: Path) -> None:
    if not is_video(view):
        raise DatasetError(f"{target.name} holds motion, and these are images: load videos")


def _anybody(person: Person) -> bool:
    return True
