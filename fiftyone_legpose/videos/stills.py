"""Stills of videos, as pictures to label."""

import filecmp
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import fiftyone as fo
import numpy as np

from cvat_bridge.names import plain_name
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.fields import SOURCE, STILLS_PER_S, VIDEO
from fiftyone_legpose.dataset.frame_times import frame_of_still
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError, NothingLoadedError, UnreadableError
from fiftyone_legpose.files import file_sha256, writing
from fiftyone_legpose.privacy.audit import hand_over
from fiftyone_legpose.privacy.modes import Mode
from fiftyone_legpose.privacy.pictures import copy_picture
from fiftyone_legpose.privacy.stills import Policy, PrivacyError, refused_still
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.videos.ffmpeg import TELL_TIMES, told_times, transcode
from fiftyone_legpose.videos.find_files import (
    Sources,
    file_identity,
    find_files,
    nothing_loaded,
    skip_file,
)
from fiftyone_legpose.videos.load import load
from fiftyone_legpose.videos.probe import VideoFacts, probe, square_filters
from fiftyone_legpose.videos.subjects import Subject, subject_lookup, tell_unnamed

_AS_IT_IS = Policy("off")

logger = logging.getLogger(__name__)

# Times are told to the microsecond, and read as floating point.
_SAME_TIME_S = 2e-5


def write_stills(
    path: Path, folder: Path, *, fps: float, name: str, policy: Policy = _AS_IT_IS
) -> list[Path]:
    """Write stills of a video at a steady rate, upright, at full size, of square pixels.

    Parameters
    ----------
    path
        A video file.
    folder
        Where the stills go, as ``<name>_<00001>.jpg`` and so on.
    fps
        Stills per second of video; never more than the video has.
    name
        First part of each still's name.
    policy
        What the stills may show.

    Returns
    -------
    list of Path
        In the order of time, from the first frame on.

    Raises
    ------
    UnreadableError
        ffmpeg cannot decode the file.
    DatasetError
        The folder holds other stills of the video's name, or cannot be written to; nothing is
        written then.
    PrivacyError
        The policy refuses some; nothing is written then.
    """
    facts = probe(path)
    rate = Fraction(min(fps, facts.frame_rate)).limit_denominator(1001)
    # Times start at the first frame, and go on at one step a still: ffmpeg would fill what comes
    # before a stream that starts late, and each pause, with repetitions.
    timing = [f"setpts=N/({rate})/TB"] if fps >= facts.frame_rate else [f"fps={rate}"]
    filters = [*TELL_TIMES, "setpts=PTS-STARTPTS", *timing, *square_filters(facts)]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as scratch:
            options = ["-vf", ",".join(filters), "-r", str(rate), "-q:v", "2"]
            # A percent sign in a folder's name would be part of the pattern.
            pattern = Path(scratch.replace("%", "%%")) / "still_%09d.jpg"
            told = transcode(path, options, pattern)
            numbered = _numbered(sorted(Path(scratch).iterdir()), facts, told_times(told), fps)
            if not numbered:
                raise UnreadableError("none of its frames can be decoded")
            _hide(list(numbered.values()), policy, path.name)
            made = {folder / f"{name}_{n:05d}.jpg": still for n, still in numbered.items()}
            _refuse_other_stills(folder, name, made)
            for target, still in made.items():
                if not target.exists():
                    os.replace(still, target)
    return list(made)


def _numbered(
    stills: list[Path], facts: VideoFacts, decoded_s: np.ndarray, fps: float
) -> dict[int, Path]:
    """Give each still the number by which its frame is found again, or leave it out.

    Where a frame within the video cannot be decoded, ffmpeg goes on as if it were not there.
    """
    by_number = dict(enumerate(stills, start=1))
    # The frames of a video that starts undecodable count from the first one that can be decoded.
    if len(decoded_s) == len(facts.times_s) or facts.starts_undecodable or not len(facts.times_s):
        return by_number
    number_of = np.searchsorted(facts.times_s, decoded_s - _SAME_TIME_S) + 1
    if fps >= facts.frame_rate:
        return dict(zip(number_of.tolist(), stills, strict=False))
    from_first = decoded_s - decoded_s[0]
    kept = {}
    for number, still in by_number.items():
        shown = frame_of_still(from_first, number, fps)
        sought = frame_of_still(facts.times_s - facts.times_s[0], number, fps)
        if shown is not None and number_of[shown - 1] == sought:
            kept[number] = still
    return kept


def _hide(stills: Sequence[Path], policy: Policy, video: str) -> None:
    """Take from stills what they must not show, or refuse them."""
    if policy == _AS_IT_IS:
        return
    refused = []
    for number, path in enumerate(stills, start=1):
        still = copy_picture(path, path, policy)
        if policy.mode == "refuse" and still.verdict.reasons:
            refused.append(refused_still(still, f"{video} still {number}"))
    if refused:
        raise PrivacyError(refused, len(stills))


def _refuse_other_stills(folder: Path, name: str, made: Mapping[Path, Path]) -> None:
    """Refuse to put a picture where another is, which may be labelled, or beside such ones."""
    numbered = re.compile(re.escape(name) + r"_\d{5,}\.jpg")
    there = sorted(path for path in folder.iterdir() if numbered.fullmatch(path.name))
    for still in there:
        if still not in made or not filecmp.cmp(still, made[still], shallow=False):
            raise DatasetError(
                f"{folder} holds other stills of {name}, such as {still.name}: of another rate, "
                f"another video, or changed since. This one gives {len(made)}: choose another "
                f"folder, or delete {name}_*.jpg first, with what is labelled on them."
            )


@waits_its_turn("dataset")
def extract_frames(
    videos: Sources,
    folder: str | Path,
    *,
    fps: float = STILLS_PER_S,
    dataset: str | fo.Dataset | None = None,
    subject: Subject | None = None,
    privacy: Mode = "refuse",
    crop_below: float = 0.0,
    progress: Report | bool | None = None,
) -> list[Path]:
    """Write stills of videos, named ``<video>_<00001>.jpg``, and load them where asked.

    Parameters
    ----------
    videos
        Video files, folders or globs.
    folder
        Where the stills go; those that are there already stay.
    fps
        Stills per second; a video with fewer frames per second gives each of its frames.
    dataset
        An image dataset to load the stills into, or its name.
    subject
        As for `load`, looked up by the video's name.
    privacy
        ``refuse`` writes no stills of a video that shows a face, ``blacken`` burns everything
        above the chin black, ``off`` looks at nothing, in a quarter of the time or less.
    crop_below
        Share of each still's height, from its top, that is black.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    list of Path
        The stills, by video and time.

    Raises
    ------
    NothingLoadedError
        No video could be read; one among others is left out with a warning.
    DatasetError
        Two videos have one name, or names that some disks take for one, so that their stills would
        have too; or the folder holds other stills of a video, such as of another rate: labels on
        them would come to other pictures.
    PrivacyError
        A video shows a face; its stills, and those of the videos after it, are not written.
    """
    policy = Policy(privacy, crop_below)
    if fps <= 0:
        raise DatasetError(f"fps must be above 0, not {fps}: give stills per second of video.")
    found, _, skipped = find_files(videos)
    _refuse_namesakes(found)
    subject_of = subject_lookup(subject)
    stills: dict[Path, list[Path]] = {}
    with reporting("frames", progress) as report:
        for number, path in enumerate(found):
            report(number, len(found), path.name)
            try:
                stills[path] = write_stills(
                    path, Path(folder).expanduser(), fps=fps, name=path.stem, policy=policy
                )
            except UnreadableError as error:
                skipped.append(skip_file(path, str(error)))
        report(len(found), len(found), "done")
    if not stills:
        raise NothingLoadedError(nothing_loaded(videos, skipped))
    for item in skipped:
        logger.warning("Left out %s: %s", item["path"], item["reason"])
    unnamed = [str(video) for video in stills if subject_of(video) is None]
    if subject is not None and unnamed:
        logger.warning("%s", tell_unnamed(unnamed))
    written = [still for of_video in stills.values() for still in of_video]
    sums = {still.name: file_sha256(still) for still in written}
    hand_over("extract_frames", Path(folder).expanduser(), policy, sums)
    if dataset is not None:
        loaded = load(written, dataset, progress=False)
        video_of = {file_identity(s): video for video, of in stills.items() for s in of}
        stored = ((s, video_of.get(file_identity(Path(s)))) for s in loaded.values(SOURCE) if s)
        origin = {source: video for source, video in stored if video is not None}
        view = loaded.match(fo.ViewField(SOURCE).is_in(list(origin)))
        sources = view.values(SOURCE)
        loaded.add_sample_field(VIDEO, fo.StringField)
        view.set_values(VIDEO, [origin[s].stem for s in sources])
        told = {i: subject_of(origin[s]) for i, s in zip(view.values("id"), sources, strict=True)}
        known = {i: who for i, who in told.items() if who is not None}
        view.set_values(fields.SUBJECT, known, key_field="id")
    return written


def _refuse_namesakes(videos: Iterable[Path]) -> None:
    by_name: dict[str, Path] = {}
    for path in videos:
        other = by_name.setdefault(plain_name(path.stem), path)
        if other != path:
            raise DatasetError(
                f"{other} and {path} have one name, or names that some disks take for one, so the "
                "stills of one would replace those of the other: extract them into folders of "
                "their own, one after the other."
            )
