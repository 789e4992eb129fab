"""Export and import "Ultralytics YOLO Pose 1.0" as the server does it, written apart from ours."""

import zipfile
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

import yaml

from tests.cvat_server import annotations
from tests.cvat_server.state import BackgroundError, Frame, Label, State, Task

FORMAT = "Ultralytics YOLO Pose 1.0"


def export(state: State, tasks: list[Task], *, save_images: bool) -> bytes:
    """Zip of one task, or of the tasks of a project, whose frames are then renamed."""
    skeletons = [label for label in state.labels_of(tasks[0]) if label.type == "skeleton"]
    kpt_count = max((len(label.sublabels) for label in skeletons), default=0)
    files: dict[str, bytes] = {}
    lists: dict[str, list[str]] = {}
    for task in tasks:
        if not task.frames:
            raise BackgroundError(
                "AttributeError: 'NoneType' object has no attribute 'validation_mode'"
            )
        subset = task.subset or "train"
        if "/" in subset:
            raise BackgroundError(
                "FileNotFoundError: [Errno 2] No such file or directory: "
                f"'/home/django/{subset}.txt'"
            )
        if subset == "names":
            raise BackgroundError(
                "datumaro.components.errors.DatasetExportError: Can't export 'names' subset in "
                "YOLO format, this word is reserved."
            )
        drawn = _drawn(task)
        for number, frame in enumerate(task.frames):
            if number in task.deleted:
                continue
            stem, suffix = _file_name(task, number, frame)
            listed = lists.setdefault(subset, [])
            stem = _free_name(stem, suffix, subset, listed)
            listed.append(f"data/images/{subset}/{stem}{suffix}")
            lines = [
                _line(shape, skeletons, kpt_count, frame)
                for shape in drawn.get(number, ())
                if shape["type"] == "skeleton"
            ]
            if task.poisoned and lines:
                raise _failed(stem, subset)
            if lines:
                files[f"labels/{subset}/{stem}.txt"] = ("\n".join(lines) + "\n").encode()
            if save_images:
                files[f"images/{subset}/{stem}{suffix}"] = frame.data
    for subset, listed in lists.items():
        files[f"{subset}.txt"] = ("\n".join(listed) + "\n").encode()
    config = {
        "path": ".",
        "names": {index: label.name for index, label in enumerate(skeletons)},
        "kpt_shape": [kpt_count, 3],
        **{subset: f"{subset}.txt" for subset in lists},
    }
    files["data.yaml"] = yaml.safe_dump(config).encode()
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def load(state: State, task: Task, packed: bytes) -> None:
    """Replace the task's annotations by those of a zip; frames match by file stem."""
    if not zipfile.is_zipfile(BytesIO(packed)):
        raise BackgroundError("pyunpack.PatoolError: patool can not unpack")
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = _config(files)
    names = config["names"]
    names = dict(enumerate(names)) if isinstance(names, list) else names
    by_name = {label.name: label for label in state.labels_of(task)}
    stems = {_file_name(task, n, frame)[0]: n for n, frame in enumerate(task.frames)}
    shapes = []
    for path, content in files.items():
        if PurePosixPath(path).suffix != ".txt" or "labels" not in PurePosixPath(path).parts:
            continue
        stem = PurePosixPath(path).stem
        if stem not in stems:
            raise BackgroundError(
                "cvat.apps.dataset_manager.bindings.CvatImportError: Could not match item id: "
                f"'{stem}' with any task frame"
            )
        for line in content.decode().splitlines():
            shape = _parsed(line.split(), config, names, by_name, task.frames[stems[stem]])
            shapes.append(_placed(shape, stems[stem]))
    task.shapes, task.tracks = [], []
    annotations.add(state, task, {"shapes": shapes})
    task.unreadable = any(
        value != value for s in shapes for element in s["elements"] for value in element["points"]
    )


def _drawn(task: Task) -> dict[int, list[dict[str, Any]]]:
    """Shapes by frame, tracks interpolated."""
    drawn: dict[int, list[dict[str, Any]]] = {}
    for shape in task.shapes:
        drawn.setdefault(shape["frame"], []).append(shape)
    for track in task.tracks:
        for frame in range(task.size):
            own = _at(track["shapes"], frame)
            elements = [
                state | {"label_id": element["label_id"]}
                for element in track["elements"]
                if (state := _at(element["shapes"], frame)) is not None
            ]
            there = own is not None and not own["outside"]
            if there and not all(element["outside"] for element in elements):
                shape = {"type": "skeleton", "label_id": track["label_id"], "elements": elements}
                drawn.setdefault(frame, []).append(shape)
    return drawn


def _at(shapes: list[dict[str, Any]], frame: int) -> dict[str, Any] | None:
    before = [shape for shape in shapes if shape["frame"] <= frame]
    after = [shape for shape in shapes if shape["frame"] > frame]
    if not before:
        return None
    last = max(before, key=lambda shape: shape["frame"])
    if not after or last["frame"] == frame:
        return last
    following = min(after, key=lambda shape: shape["frame"])
    share = (frame - last["frame"]) / (following["frame"] - last["frame"])
    points = [a + share * (b - a) for a, b in zip(last["points"], following["points"], strict=True)]
    return last | {"points": points}


def _file_name(task: Task, number: int, frame: Frame) -> tuple[str, str]:
    if task.video:
        return f"frame_{task.video['start'] + number * task.video['step']:06d}", ".png"
    path = PurePosixPath(frame.name)
    return path.stem, path.suffix


def _free_name(stem: str, suffix: str, subset: str, listed: list[str]) -> str:
    candidate, number = stem, 0
    while f"data/images/{subset}/{candidate}{suffix}" in listed:
        number += 1
        candidate = f"{stem}_{number}"
    return candidate


def _line(shape: dict[str, Any], skeletons: list[Label], kpt_count: int, frame: Frame) -> str:
    label = next(label for label in skeletons if label.id == shape["label_id"])
    by_label = {element["label_id"]: element for element in shape["elements"]}
    points, seen = [], []
    for label_id in _circle_order(label):
        element = by_label.get(label_id)
        if element is None:
            points.append("0.0 0.0 0")
            continue
        x, y = (round(value, 2) for value in element["points"][:2])
        v = 0 if element["outside"] else 1 if element["occluded"] else 2
        points.append(f"{x / frame.width:.6f} {y / frame.height:.6f} {v}")
        if v:
            seen.append((x, y))
    points += ["0.0 0.0 0"] * (kpt_count - len(points))
    box = [0.0] * 4
    if seen:
        (left, top), (right, bottom) = map(min, zip(*seen)), map(max, zip(*seen))  # noqa: B905
        box = [
            (left + right) / 2 / frame.width,
            (top + bottom) / 2 / frame.height,
            (right - left) / frame.width,
            (bottom - top) / frame.height,
        ]
    return f"{skeletons.index(label)} {' '.join(f'{b:.6f}' for b in box)} {' '.join(points)}"


def _circle_order(label: Label) -> list[int]:
    """Ids in the order of the drawing; here, and only here, a bad drawing is found out."""
    try:
        root = ElementTree.fromstring(f"<root>{label.svg}</root>")
    except ElementTree.ParseError as error:
        raise BackgroundError(f"xml.etree.ElementTree.ParseError: {error}") from None
    known = [sub.id for sub in label.sublabels]
    by_name = {sub.name: sub.id for sub in label.sublabels}
    order = []
    for circle in root.findall("circle"):
        label_id = circle.get("data-label-id")
        if label_id is not None and int(label_id) not in known:
            raise BackgroundError("KeyError: 'data-label-name'")
        order.append(
            int(label_id)
            if label_id is not None
            else by_name.get(circle.get("data-label-name", ""), 0)
        )
    if set(order) != set(known):
        raise _failed("frame_000000", "default")
    return order


def _failed(stem: str, subset: str) -> BackgroundError:
    item = (stem, subset)
    return BackgroundError(
        f"datumaro.components.errors.ItemExportError: Failed to export item {item}"
    )


def _config(files: dict[str, bytes]) -> dict[str, Any]:
    found = [name for name in files if PurePosixPath(name).suffix == ".yaml"]
    docs = (
        "cvat.apps.dataset_manager.bindings.CvatDatasetNotFoundError: Check [format docs]"
        "(https://docs.cvat.ai/docs//manual/advanced/formats/format-yolo-ultralytics-pose)."
    )
    if not found:
        raise BackgroundError(f'{docs} Dataset must contain a file: "*.yaml"')
    config = yaml.safe_load(files[found[0]])
    if "kpt_shape" not in config:
        raise BackgroundError(f"{docs}   data.yaml: must have 'kpt_shape' field")
    if "nc" in config or "kpt_names" in config:
        raise BackgroundError(
            "cvat.apps.dataset_manager.bindings.CvatImportError: Failed to import dataset "
            "'yolo_ultralytics_pose' at '/home/django/data/tmp/tmp'."
        )
    return dict(config)


def _parsed(
    fields: list[str],
    config: dict[str, Any],
    names: dict[int, str],
    by_name: dict[str, Label],
    frame: Frame,
) -> dict[str, Any]:
    count, width = config["kpt_shape"]
    failed = BackgroundError("datumaro.components.contexts.importer._ImportFail")
    if len(fields) < 5 + count * width or int(fields[0]) not in names:
        raise failed
    label = by_name.get(names[int(fields[0])])
    if label is None or count < len(label.sublabels):
        raise BackgroundError(
            "cvat.apps.dataset_manager.bindings.CvatImportError: Failed to import dataset "
            "'yolo_ultralytics_pose' at '/home/django/data/tmp/tmp'."
        )
    elements = []
    for index, label_id in enumerate(_circle_order(label)):
        values = fields[5 + index * width : 5 + (index + 1) * width]
        if width == 3 and values[2] not in ("0", "1", "2"):
            raise failed
        v = int(values[2]) if width == 3 else 2
        elements.append(
            {
                "type": "points",
                "label_id": label_id,
                "source": "file",
                "outside": v == 0,
                "occluded": v == 1,
                "points": [
                    round(float(values[0]) * frame.width, 2),
                    round(float(values[1]) * frame.height, 2),
                ],
            }
        )
    return {"type": "skeleton", "label_id": label.id, "source": "file", "elements": elements}


def _placed(shape: dict[str, Any], frame: int) -> dict[str, Any]:
    elements = [element | {"frame": frame} for element in shape["elements"]]
    return shape | {"frame": frame, "elements": elements}
