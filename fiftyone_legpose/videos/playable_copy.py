"""Copies of videos that every browser plays frame by frame."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import fiftyone as fo

from fiftyone_legpose.dataset.fields import SOURCE
from fiftyone_legpose.errors import UnreadableError
from fiftyone_legpose.videos.ffmpeg import EVEN_SIDES, h264_options, run_tool, tool_reason
from fiftyone_legpose.videos.probe import VideoFacts, probe, square_filters


def playable_copy(path: Path, facts: VideoFacts, folder: Path) -> Path:
    """Re-encode a video once to upright H.264 at a constant rate, of square pixels.

    Parameters
    ----------
    path
        The original; it stays untouched.
    facts
        What `probe` said of it.
    folder
        Where copies are kept, named by a hash, so that no copy's name tells whom it shows.

    Returns
    -------
    Path
        An MP4 file; a copy that is there already is used again.

    Raises
    ------
    UnreadableError
        ffmpeg cannot decode the file, or the system refuses the copy.
    """
    stat = path.stat()
    identity = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    if not facts.has_square_pixels:
        # Copies made before aspects were read have the pixels of the original.
        identity += f"|{facts.pixel_aspect}"
    copy = folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.mp4"
    if not copy.exists():
        write_copy(path, facts, copy)
    return copy


def write_copy(path: Path, facts: VideoFacts, copy: Path) -> None:
    """Write a `playable_copy` to a place of its own; arguments and errors as there."""
    try:
        _encode(path, facts, copy)
    except OSError as error:
        raise UnreadableError(
            f"its playable copy {copy} cannot be written: {error.strerror or error}. Mend that and "
            "load it again"
        ) from None


def _encode(path: Path, facts: VideoFacts, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(facts.frame_rate).limit_denominator(1001)
    filters = [f"fps={rate}", *square_filters(facts), EVEN_SIDES]
    with TemporaryDirectory(dir=copy.parent) as scratch:
        part = Path(scratch) / "part.mp4"
        answer = run_tool(
            ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(path), "-map", "0:v:0"]
            + ["-vf", ",".join(filters), *h264_options(crf=18), str(part)]
        )
        if answer.returncode != 0 or not part.exists():
            raise UnreadableError(tool_reason(answer.stderr, path))
        os.replace(part, copy)


def find_lost_copies(dataset: fo.Dataset, known: Iterable[Path]) -> dict[Path, str]:
    """Find the samples, by their source, whose playable copy is not there any more."""
    if not dataset.has_sample_field(SOURCE):
        return {}
    rows = zip(*dataset.values([SOURCE, "filepath", "id"]), strict=True)
    copies = {
        source: sample_id
        for source, copy, sample_id in rows
        if Path(copy).parent.name == copies_folder().name and not Path(copy).exists()
    }
    return {path: copies[str(path)] for path in known if str(path) in copies}


def copy_again(sample: fo.Sample, path: Path, copied: list[dict[str, str]]) -> None:
    """Make a playable copy anew where the labels of the dataset still look for it."""
    copy, before, facts = Path(sample.filepath), sample.metadata, probe(path)
    if before is not None and before.frame_rate:
        # The labels count frames at the rate that the copy had, however rates are told today.
        facts = replace(facts, frame_rate=before.frame_rate)
    write_copy(path, facts, copy)
    made = probe(copy)
    if before is not None and before.total_frame_count not in (None, made.frame_count):
        copy.unlink()
        raise UnreadableError(
            f"its playable copy was lost, and made again it has {made.frame_count} frames instead "
            f"of {before.total_frame_count}: delete its sample and load it again"
        )
    if before is not None:
        before.frame_width, before.frame_height = made.width, made.height
        sample.save()
    copied.append({"path": str(path), "reason": "its copy was gone"})


def copies_folder() -> Path:
    """Give the folder of all playable copies, below that of FiftyOne's datasets."""
    return Path(fo.config.default_dataset_dir) / "legpose" / "playable-copies"
