"""Which format a file of labels has, told by its suffix and by what is in it."""

import json
from pathlib import Path
from typing import Any

from cvat_bridge.archives import open_archive, read_text
from cvat_bridge.errors import FormatError
from fiftyone_legpose.cvat.label_files import LabelFile, read_label_file
from fiftyone_legpose.label_formats.coco import is_coco, read_coco
from fiftyone_legpose.label_formats.deeplabcut import is_deeplabcut, read_deeplabcut
from fiftyone_legpose.label_formats.label_studio import is_label_studio, read_label_studio
from fiftyone_legpose.label_formats.sleap import read_sleap

_MOST_BYTES = 512 * 2**20

_TOLD = (
    "Give an export 'Ultralytics YOLO Pose 1.0' or a task backup of CVAT, COCO keypoints or Label "
    "Studio (.json), CollectedData_<scorer>.csv of DeepLabCut, or a .slp file of SLEAP."
)


def read_labels_of(source: Path, *, label: str | None = None) -> LabelFile:
    """Read labels of any format that is known.

    Parameters
    ----------
    source
        A file, a zip or a folder.
    label
        Name of the skeleton or category, where there are several.

    Raises
    ------
    FormatError
        The format is not known, or the file is damaged; says what to give instead.
    MissingToolError
        The format needs a package that is not installed.
    """
    kind = "" if source.is_dir() else source.suffix.lower()
    if kind == ".json":
        return _from_json(_read(source), source, label)
    if kind == ".csv":
        text = _read(source)
        if not is_deeplabcut(text):
            raise FormatError(f"{source} is no CSV file of DeepLabCut. {_TOLD}")
        return read_deeplabcut(text, str(source))
    if kind == ".slp":
        return read_sleap(source)
    if kind in (".h5", ".hdf5"):
        raise FormatError(
            f"{source}: of DeepLabCut give the CSV file beside it (CollectedData_<scorer>.csv); of "
            "SLEAP the .slp project (an analysis file holds predictions)."
        )
    with open_archive(source) as archive:
        names = archive.names
        jsons = [name for name in names if name.lower().endswith(".json")]
        is_ours = "task.json" in names or any(n.lower().endswith((".yaml", ".yml")) for n in names)
        if is_ours or not jsons:
            return read_label_file(source, label=label, normalized=True)
        read = {name: _parse(read_text(archive, name, limit_bytes=_MOST_BYTES)) for name in jsons}
    posed = {
        name: values
        for name, values in read.items()
        if is_coco(values) and any(one.get("keypoints") for one in values["categories"])
    }
    if len(posed) != 1:
        raise FormatError(
            f"{source} holds {len(posed)} files of COCO keypoints: unpack it, and import one after "
            f"the other. {_TOLD}"
        )
    [(name, values)] = posed.items()
    return read_coco(values, f"{source}: {name}", label=label, members=names)


def _from_json(text: str, source: Path, label: str | None) -> LabelFile:
    values = _parse(text)
    if is_coco(values):
        return read_coco(values, str(source), label=label)
    if is_label_studio(values):
        return read_label_studio(values, str(source))
    raise FormatError(f"{source} is neither COCO keypoints nor Label Studio. {_TOLD}")


def _read(source: Path) -> str:
    try:
        if source.stat().st_size > _MOST_BYTES:
            raise FormatError(f"{source} is longer than {_MOST_BYTES:,} bytes: split it.")
        return source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{source} cannot be read: {error}.") from None


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
