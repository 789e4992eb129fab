"""Legs-only training pictures from footage of whole people, without labels by hand.

Two teachers look at the whole body: a YOLO-pose model for COCO's keypoints and BlazePose, twice.
Only where they agree is the picture cut at the waist and labelled; the rest is listed for a person.
"""

import csv
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.errors import NothingLoadedError, UnreadableError, WeightsError
from fiftyone_legpose.videos.decoding import read_frames, read_picture
from fiftyone_legpose.videos.find_files import find_files, nothing_loaded
from fiftyone_legpose.videos.probe import probe
from weights.recipe.agreement import Agreed, Seen, agree
from weights.recipe.measuring import COCO, Answer
from weights.recipe.picture_folder import FEWEST_POINTS, Picture, begin_folder, write_picture

DISAGREEMENTS: Final = "disagreements.csv"
"""File beside the pictures: who was not labelled, and why."""

LONGEST_PX: Final = 640
"""Longer side of what is written."""

_COLUMNS: Final = ("file", "time_s", "left_px", "top_px", "right_px", "bottom_px", "reason")
_CROP_PX: Final = 512
_CROP_MARGIN: Final = 0.65
"""Half a crop's side as a share of the longer side of the person in it."""

_TOGETHER: Final = 32
"""Frames that the teachers look at before their pictures are written."""

_OVERLAP: Final = 0.02
"""Share of a picture that somebody without a label may cover."""


@dataclass(frozen=True)
class Frame:
    """A picture of the footage."""

    name: str
    file: Path
    time_s: float
    image: np.ndarray
    """(H, W, 3) BGR."""


@dataclass(frozen=True)
class Labelled:
    """What came of the footage."""

    pictures: int
    """Written by this call."""
    disagreements: int
    """People who were not labelled, in all."""
    skipped: tuple[dict[str, str], ...]
    """Files that could not be read, with ``path`` and ``reason``."""


Find = Callable[[np.ndarray], list[Seen]]
"""The first teacher: everybody in a picture (H, W, 3) BGR."""

Look = Callable[[Sequence[np.ndarray]], list[Answer]]
"""The second teacher: the points of the one person in each picture; see `blazepose.blazepose`."""


def label(
    footage: Sequence[str | Path],
    out: str | Path,
    *,
    find: Find,
    look: Look,
    interval_s: float = 0.5,
    say: Callable[[str], None] = print,
) -> Labelled:
    """Write legs-only pictures and labels of full-body footage as a YOLO-pose folder.

    Called again it goes on with the files that it had not finished.

    Parameters
    ----------
    footage : sequence of path
        Videos, pictures or folders of them; never changed.
    out : path
        Gets ``images/train``, ``labels/train``, ``data.yaml`` and `DISAGREEMENTS`, and in ``done``
        what was disagreed on in each file that is finished.
    find, look : callable
        The teachers.
    interval_s : float
        Time between two frames of a video.
    say : callable
        Is told which file is being looked at.

    Raises
    ------
    NothingLoadedError
        If the footage holds no video and no picture, or none can be read.
    ValueError
        If `interval_s` is not positive.
    """
    if not interval_s > 0:
        raise ValueError(f"interval_s is {interval_s}; give the seconds between two frames")
    videos, images, unread = find_files(footage)
    files = sorted([*videos, *images])
    if not files:
        raise NothingLoadedError(nothing_loaded(list(footage), unread))
    out = Path(out)
    begin_folder(out)
    done = out / "done"
    done.mkdir(exist_ok=True)
    pictures, skipped = 0, [*unread]
    for number, file in enumerate(files, 1):
        record = done / f"{_short_name(file)}.csv"
        if record.exists():
            continue
        say(f"{number} of {len(files)}: {file.name}")
        try:
            written, rows = _label_file(file, file in videos, out, find, look, interval_s)
        except UnreadableError as error:
            skipped.append({"path": str(file), "reason": str(error)})
            continue
        pictures += written
        _write_rows(record, rows)
    if len(skipped) >= len(files) + len(unread):
        raise NothingLoadedError(nothing_loaded(list(footage), skipped))
    records = sorted(done.glob("*.csv"))
    listed = [row for record in records for row in _read_rows(record)]
    _write_rows(out / DISAGREEMENTS, listed)
    return Labelled(pictures, len(listed), tuple(skipped))


def load_finder(weights: Path) -> Find:
    """Return what finds people with Ultralytics weights for COCO's 17 keypoints.

    Raises
    ------
    WeightsError
        If they have other keypoints.
    """
    from fiftyone_legpose.zoo.weights import keypoint_shape, open_yolo

    model = open_yolo(weights)
    shape = keypoint_shape(model)
    if shape is None or shape[0] != 17:
        raise WeightsError(
            f"{weights} does not predict COCO's 17 keypoints. Name a pose model such as "
            "yolov8n-pose.pt, or a larger one of its kind."
        )

    def find(image: np.ndarray) -> list[Seen]:
        (found,) = model.predict(image, classes=[0], conf=0.3, verbose=False)
        points = found.keypoints.xy.cpu().numpy().reshape(-1, 17, 2)[:, list(COCO)]
        return [Seen(*pair) for pair in zip(found.boxes.xyxy.cpu().numpy(), points, strict=True)]

    return find


def _label_file(
    file: Path, is_video: bool, out: Path, find: Find, look: Look, interval_s: float
) -> tuple[int, list[dict[str, Any]]]:
    """Write the pictures of one file; return their number and who was not labelled."""
    written, rows = 0, list[dict[str, Any]]()
    for frames in _together(_read(file, is_video, interval_s)):
        people = [(frame, seen) for frame in frames for seen in find(frame.image)]
        answers = _look_twice(people, look)
        verdicts = [agree(seen, *answer) for (_, seen), answer in zip(people, answers, strict=True)]
        for frame in frames:
            here = [(p[1], v) for p, v in zip(people, verdicts, strict=True) if p[0] is frame]
            for number, (seen, verdict) in enumerate(here):
                picture = verdict if isinstance(verdict, str) else _cut(frame, number, here)
                if isinstance(picture, str):
                    rows.append(_row(frame, seen, picture))
                else:
                    write_picture(out, f"{frame.name}_{number}", picture)
                    written += 1
    return written, rows


def _read(file: Path, is_video: bool, interval_s: float) -> Iterator[Frame]:
    name = _short_name(file)
    if not is_video:
        yield Frame(f"{name}_000000", file, 0.0, read_picture(file))
        return
    facts = probe(file)
    step = max(1, round(interval_s * facts.frame_rate))
    for number, image in read_frames(file, range(1, facts.frame_count + 1, step)):
        yield Frame(f"{name}_{number:06d}", file, (number - 1) / facts.frame_rate, image)


def _together(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    some: list[Frame] = []
    for frame in frames:
        some.append(frame)
        if len(some) == _TOGETHER:
            yield some
            some = []
    if some:
        yield some


def _look_twice(people: Sequence[tuple[Frame, Seen]], look: Look) -> list[tuple[Answer, Answer]]:
    """Return what BlazePose says of each person and of her mirror image, in px of the frame."""
    crops, places = [], []
    for frame, seen in people:
        crop, place = _crop(frame.image, seen.box)
        crops += [crop, np.ascontiguousarray(crop[:, ::-1])]
        places.append(place)
    answers = look(crops) if crops else []
    pairs = []
    for (scale, corner), plain, mirrored, crop in zip(
        places, answers[::2], answers[1::2], crops[::2], strict=True
    ):
        flipped = mirrored[0][:, list(legs.FLIP_INDEX)] * (-1, 1) + (crop.shape[1], 0)
        confidence = mirrored[1][:, list(legs.FLIP_INDEX)]
        pairs.append(
            (
                (plain[0] / scale + corner, *plain[1:]),
                (flipped / scale + corner, confidence, mirrored[2]),
            )
        )
    return pairs


def _crop(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, tuple[float, np.ndarray]]:
    """Cut out a person with some room; also the scale, and where the crop's corner was."""
    middle, half = (box[:2] + box[2:]) / 2, _CROP_MARGIN * (box[2:] - box[:2]).max()
    x1, y1 = np.maximum(middle - half, 0).astype(int)
    x2, y2 = np.minimum(middle + half, image.shape[1::-1]).astype(int)
    scale = _CROP_PX / max(x2 - x1, y2 - y1)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    crop = cv2.resize(image[y1:y2, x1:x2], None, fx=scale, fy=scale, interpolation=how)
    return np.asarray(crop), (scale, np.array([x1, y1]))


def _cut(frame: Frame, number: int, people: Sequence[tuple[Seen, Agreed | str]]) -> Picture | str:
    """Return one person cut at the waist, with all others who are labelled, or why not."""
    chosen = people[number][1]
    assert isinstance(chosen, Agreed)
    x1, y1, x2, y2 = _window(frame, number, chosen)
    for other, verdict in people:
        low, high = np.maximum(other.box[:2], (x1, y1)), np.minimum(other.box[2:], (x2, y2))
        share = np.clip(high - low, 0, None).prod() / ((x2 - x1) * (y2 - y1))
        if isinstance(verdict, str) and share > _OVERLAP:
            return "somebody without a label stands in the picture"
    size = np.array([x2 - x1, y2 - y1])
    scale = min(1.0, LONGEST_PX / size.max())
    image = frame.image[y1:y2, x1:x2]
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    agreed = [verdict for _, verdict in people if isinstance(verdict, Agreed)]
    points = (np.stack([one.points for one in agreed]) - (x1, y1)) * scale
    inside = ((points >= 0) & (points < image.shape[1::-1])).all(axis=-1)
    visibility = np.where(inside, np.stack([one.visibility for one in agreed]), 0)
    kept = (visibility > 0).sum(axis=1) >= FEWEST_POINTS
    legs_px = np.array([one.leg_px for one in agreed])[kept] * scale
    return Picture(np.ascontiguousarray(image), points[kept], visibility[kept], legs_px)


def _window(frame: Frame, number: int, person: Agreed) -> np.ndarray:
    """Return x1, y1, x2, y2 (px) of a cut as a clinic films: just above the hips, and all legs."""
    # Of the name, so that a second call cuts as the first one did.
    rng = np.random.default_rng(zlib.crc32(f"{frame.name}_{number}".encode()))
    left, right, below = person.leg_px * rng.uniform((0.2, 0.2, 0.1), (0.8, 0.8, 0.35))
    (x1, _), (x2, y2) = person.points.min(axis=0), person.points.max(axis=0)
    top = person.points[:2, 1].min() - person.leg_px * rng.uniform(0.05, 0.3)
    window = np.array([x1 - left, top, x2 + right, y2 + below])
    return np.clip(window, 0, np.tile(frame.image.shape[1::-1], 2)).astype(int)


def _short_name(file: Path) -> str:
    """Return a file's name with a few letters of its folder's hash: two may be called alike."""
    return f"{file.stem}_{hashlib.sha1(str(file.parent).encode()).hexdigest()[:6]}"


def _row(frame: Frame, seen: Seen, reason: str) -> dict[str, Any]:
    box = [round(float(value)) for value in seen.box]
    return dict(zip(_COLUMNS, (frame.file, f"{frame.time_s:.2f}", *box, reason), strict=True))


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]
