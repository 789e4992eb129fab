"""Copies of videos that every browser plays frame by frame."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import fiftyone as fo
import numpy as np

from fiftyone_legpose.dataset.fields import SOURCE, TIME_S
from fiftyone_legpose.errors import UnreadableError
from fiftyone_legpose.videos.ffmpeg import (
    EVEN_SIDES,
    TELL_TIMES,
    h264_options,
    told_times,
    transcode,
)
from fiftyone_legpose.videos.probe import VideoFacts, probe, square_filters


@dataclass(frozen=True)
class PlayableCopy:
    """A copy, and when each of its frames was taken."""

    path: Path
    times_s: np.ndarray
    """(F,): seconds from the first frame of the copy to each one, by the original's clock."""


def playable_copy(path: Path, facts: VideoFacts, folder: Path) -> PlayableCopy:
    """Re-encode a video once to upright H.264 at a constant rate, of square pixels.

    Every frame that can be decoded is kept and none is doubled: where the rate varies, the copy
    plays unevenly, and frame n of it is frame n of the original.

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
    PlayableCopy
        An MP4 file; a copy that is there already is used again.

    Raises
    ------
    UnreadableError
        ffmpeg cannot decode the file, or the system refuses the copy.
    """
    stat = path.stat()
    # Copies without the last word were resampled: their frames are others.
    identity = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|every frame"
    copy = folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.mp4"
    if copy.exists() and probe(copy).frame_count == len(facts.times_s):
        return PlayableCopy(copy, facts.times_s - facts.times_s[0])
    return PlayableCopy(copy, write_copy(path, facts, copy))


def write_copy(path: Path, facts: VideoFacts, copy: Path, *, resampled: bool = False) -> np.ndarray:
    """Write a `playable_copy` to a place of its own.

    Parameters
    ----------
    path, facts
        The original, and what `probe` said of it.
    copy
        The file to write.
    resampled
        Repeat and drop frames to keep the speed, as copies once were.

    Returns
    -------
    np.ndarray
        Shape (F,): seconds from the first frame of the copy to each one; empty if resampled.

    Raises
    ------
    UnreadableError
        ffmpeg cannot decode the file, or the system refuses the copy.
    """
    try:
        return _encode(path, facts, copy, resampled=resampled)
    except OSError as error:
        raise UnreadableError(
            f"its playable copy {copy} cannot be written: {error.strerror or error}. Mend that and "
            "load it again"
        ) from None


def _encode(path: Path, facts: VideoFacts, copy: Path, *, resampled: bool) -> np.ndarray:
    copy.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(facts.frame_rate).limit_denominator(1001)
    timing = [f"fps={rate}"] if resampled else [*TELL_TIMES, f"setpts=N/({rate})/TB"]
    filters = [*timing, *square_filters(facts), EVEN_SIDES]
    with TemporaryDirectory(dir=copy.parent) as scratch:
        part = Path(scratch) / "part.mp4"
        options = ["-vf", ",".join(filters), "-r", str(rate), *h264_options(crf=18)]
        told = transcode(path, options, part)
        times_s = _rising(told_times(told), facts.frame_rate)
        if not part.exists():
            raise UnreadableError("none of its frames can be decoded")
        count = probe(part).frame_count
        if not resampled and len(times_s) != count:
            raise UnreadableError(f"of {len(times_s)} frames its playable copy has {count}")
        os.replace(part, copy)
    return times_s


def _rising(told_s: np.ndarray, rate: float) -> np.ndarray:
    """Count times (F,) from the first frame, those that are missing or go back put in between."""
    times_s, latest = told_s.copy(), -np.inf
    for i, time_s in enumerate(told_s):
        if time_s > latest:
            latest = time_s
        else:
            times_s[i] = np.nan
    index, known = np.arange(len(times_s)), np.flatnonzero(~np.isnan(times_s))
    if not len(known):
        return index / rate
    first, last = known[0], known[-1]
    filled = np.interp(index, known, times_s[known])
    filled += (np.minimum(index - first, 0) + np.maximum(index - last, 0)) / rate
    return filled - filled[0]


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
    write_copy(path, facts, copy, resampled=not _keeps_every_frame(sample))
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


def _keeps_every_frame(sample: fo.Sample) -> bool:
    """Tell copies that hold the original's frames from earlier ones, which were resampled."""
    if 1 not in sample.frames:
        return False
    first = sample.frames[1]
    return first.has_field(TIME_S) and first[TIME_S] is not None


def copies_folder() -> Path:
    """Give the folder of all playable copies, below that of FiftyOne's datasets."""
    return Path(fo.config.default_dataset_dir) / "legpose" / "playable-copies"
