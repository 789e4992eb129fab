"""deidentify: legs-only copies of full-body footage, which a hospital can hand out."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from cvat_bridge.poses import Pose
from fiftyone_legpose.dataset.keypoint_labels import visibility
from fiftyone_legpose.errors import DatasetError, NothingLoadedError, UnreadableError
from fiftyone_legpose.exports.waist import waist_line
from fiftyone_legpose.files import file_sha256, writing
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.runtimes import PoseModel
from fiftyone_legpose.prediction.tracking import PersonTracker
from fiftyone_legpose.privacy.audit import hand_over
from fiftyone_legpose.privacy.faces import find_faces
from fiftyone_legpose.privacy.gate import blacken, face_regions
from fiftyone_legpose.privacy.stills import Policy
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.videos import decoding
from fiftyone_legpose.videos.encoding import remove_leftovers, write_video
from fiftyone_legpose.videos.find_files import Sources, find_files, nothing_loaded, skip_file
from fiftyone_legpose.videos.playable_copy import write_copy
from fiftyone_legpose.videos.probe import VideoFacts, probe
from fiftyone_legpose.zoo.weights import find_weights

logger = logging.getLogger(__name__)

LOG = "deidentified.jsonl"
"""File beside the copies: one line of JSON for each, without a word about its source."""

_SHEET_FRAMES = 12
_SHEET_COLUMNS = 4
_SHEET_PX = 240


@dataclass(frozen=True)
class LegsOnlyCopy:
    """One copy, as the log has it."""

    file: str
    sha256: str
    frames: int
    frames_black: int
    """Frames that are black altogether: nobody was known on them."""
    faces_hidden: int
    """Faces that were found below the cut and burnt black too."""
    cut_px: tuple[int, int]
    """Highest and lowest place of the cut, from the top of the source."""
    removed_rows_px: int
    """Rows that are black in every frame and not in the copy; y in the copy is less by them."""
    margin: float
    weights_sha256: str
    version: str
    """Of this package."""
    made: str


@dataclass(frozen=True)
class DeidentifySummary:
    """What `deidentify` did."""

    copies: list[LegsOnlyCopy]
    """In the order of the sources, those of earlier calls included."""
    sheets: list[Path]
    """A contact sheet for each copy: look through them before you hand anything out."""
    log: Path
    skipped: list[dict[str, str]] = field(default_factory=list)
    """``path`` and ``reason`` of each file of which there is no copy."""


def deidentify(
    videos: Sources,
    folder: str | Path,
    *,
    margin: float = 0.15,
    min_score: float = 0.5,
    weights: str | Path | None = None,
    imgsz: int = 640,
    trust: bool = False,
    progress: Report | bool | None = None,
) -> DeidentifySummary:
    """Write legs-only copies of full-body videos: cut at the waist, no sound, no metadata.

    A copy bears a name made of its source's content, never the source's name. Called again it
    makes what is missing. Nothing replaces a person's look at the contact sheets.

    Parameters
    ----------
    videos
        Video files, folders or globs.
    folder
        Where ``legs-<12 digits>.mp4``, a contact sheet for each, and the log go.
    margin
        How much is seen above the higher hip, in leg lengths.
    min_score
        Lowest box confidence of a person whose waist counts, 0 to 1.
    weights, trust
        As for `predict`.
    imgsz
        Longer side of the model's input in px: legs are smaller in full-body footage than in what
        the weights were trained on.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    DeidentifySummary

    Raises
    ------
    NothingLoadedError
        There is no video of which a copy can be made.
    DatasetError
        A setting cannot be, or the folder cannot be written.

    Notes
    -----
    Each frame is black above the waist of whoever is lowest in the picture, and black altogether
    where nobody is known; faces below the cut are burnt black. What of the source has to be
    turned or timed anew first passes through a temporary folder of the system that its owner alone
    can open. People who are never found, such as those behind others, are not cut.
    """
    if not 0 <= margin <= 1:
        raise DatasetError(f"margin must lie between 0 and 1 leg lengths, not {margin}.")
    target = Path(folder).expanduser()
    found, _, skipped = find_files(videos)
    if not found:
        raise NothingLoadedError(nothing_loaded(videos, skipped))
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target)
    known = find_weights(weights, trust=trust)
    settings = {"margin": margin, "weights_sha256": known.sha256, "version": _version()}
    asked = Inference(imgsz=imgsz, conf=min_score, voting=True)
    model: PoseModel | None = None
    copies: list[LegsOnlyCopy] = []
    sheets: list[Path] = []
    with reporting("deidentify", progress) as report:
        for number, path in enumerate(found):
            report(number, len(found), f"video {number + 1}")
            output = target / f"legs-{file_sha256(path)[:12]}.mp4"
            sheet = output.with_suffix(".jpg")
            copy = _made_before(target, output, settings)
            if copy is None or not sheet.exists():
                try:
                    model = model or PoseModel(known, asked)
                    copy = _make_copy(path, output, sheet, model, settings)
                except UnreadableError as error:
                    skipped.append(skip_file(path, str(error)))
                    continue
                _append(target / LOG, copy)
                hand_over("deidentify", output, Policy("blacken"), {path.name: copy.sha256})
            copies.append(copy)
            sheets.append(sheet)
        report(len(found), len(found), "done")
    if not copies:
        raise NothingLoadedError(nothing_loaded(videos, skipped))
    return DeidentifySummary(copies, sheets, target / LOG, skipped)


def _make_copy(
    path: Path, output: Path, sheet: Path, model: PoseModel, settings: dict[str, object]
) -> LegsOnlyCopy:
    """Write one copy and its contact sheet."""
    with _steady(path) as (source, facts):
        people = _find_people(source, facts.frame_count, model)
        margin = float(str(settings["margin"]))
        line = waist_line(people, facts.height, facts.frame_rate, margin=margin)
        if (line == facts.height).all():
            raise UnreadableError("nobody's legs are found in it")
        cut = _Cut(source, line, facts)
        with writing(output):
            write_video(output, cut.frames(), cut.size, facts.frame_rate, crf=18)
            cut.write_sheet(sheet)
    return LegsOnlyCopy(
        file=output.name,
        sha256=file_sha256(output),
        frames=len(line),
        frames_black=int((line == facts.height).sum()),
        faces_hidden=cut.faces,
        cut_px=(int(line.min()), int(line[line < facts.height].max())),
        removed_rows_px=cut.top,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        **settings,  # type: ignore[arg-type]
    )


@contextmanager
def _steady(path: Path) -> Iterator[tuple[Path, VideoFacts]]:
    """Give a video that is upright, of square pixels and at a constant rate, or such a copy."""
    facts = probe(path)
    if facts.has_square_pixels and facts.constant_rate and not facts.rotation:
        yield path, facts
        return
    # Not beside the copies, which are handed out: a process that is killed leaves it there.
    with TemporaryDirectory(prefix="legpose-") as scratch:
        copy = Path(scratch) / "steady.mp4"
        write_copy(path, facts, copy)
        yield copy, probe(copy)


def _find_people(path: Path, count: int, model: PoseModel) -> list[list[Pose]]:
    """Find the people of every frame, with track ids."""
    tracker = PersonTracker()
    people = []
    for _, frame in decoding.read_frames(path, range(1, count + 1)):
        [raw] = model.infer([model.prepare(frame)])
        tracks = tracker.update(raw.boxes, raw.scores)
        confidence = [None] * len(raw.points) if raw.confidence is None else raw.confidence
        people.append(
            [
                Pose(points, visibility(points, sure), track_id=int(track) if track >= 0 else None)
                for points, sure, track in zip(raw.points, confidence, tracks, strict=True)
            ]
        )
    return people


class _Cut:
    """The frames of a copy, and what is learnt while they are made."""

    def __init__(self, source: Path, line: np.ndarray, facts: VideoFacts):
        self._source = source
        self._line = line
        self.top = int(line.min())
        self.size = (facts.width, facts.height - self.top)
        self.faces = 0
        self._tiles: list[np.ndarray] = []
        self._shown = set(np.linspace(0, len(line) - 1, _SHEET_FRAMES).astype(int).tolist())

    def frames(self) -> Iterator[np.ndarray]:
        """Give each frame, black above its cut and where a face is below it."""
        for number, frame in decoding.read_frames(self._source, range(1, len(self._line) + 1)):
            frame[: self._line[number - 1]] = 0
            if self._line[number - 1] < len(frame):
                faces = find_faces(frame)
                frame = blacken(frame, face_regions(faces, frame.shape[1::-1]))
                self.faces += len(faces)
            shown = frame[self.top :]
            if number - 1 in self._shown:
                scale = _SHEET_PX / shown.shape[1]
                self._tiles.append(
                    cv2.resize(shown, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                )
            yield shown

    def write_sheet(self, path: Path) -> None:
        """Write the contact sheet."""
        columns = min(_SHEET_COLUMNS, len(self._tiles))
        empty = np.zeros_like(self._tiles[0])
        tiles = [*self._tiles, *[empty] * (-len(self._tiles) % columns)]
        rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
        with TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
            part = Path(scratch) / "sheet.jpg"
            cv2.imwrite(str(part), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 90])
            os.replace(part, path)


def _made_before(folder: Path, output: Path, settings: dict[str, object]) -> LegsOnlyCopy | None:
    """Find a copy of an earlier call in the log, if it is whole and made in the same way."""
    log = folder / LOG
    if not output.exists() or not log.exists():
        return None
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]
    for entry in reversed(lines):
        is_same = all(entry[name] == value for name, value in settings.items())
        if entry["file"] == output.name and is_same and entry["sha256"] == file_sha256(output):
            return LegsOnlyCopy(**{**entry, "cut_px": tuple(entry["cut_px"])})
    return None


def _append(log: Path, copy: LegsOnlyCopy) -> None:
    with writing(log), log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(copy)) + "\n")


def _version() -> str:
    return version("fiftyone-legpose")
