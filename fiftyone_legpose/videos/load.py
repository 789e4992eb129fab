"""load: video files, folders, globs and image folders into a FiftyOne dataset."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import fiftyone as fo
import numpy as np
from PIL import Image

from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.dataset.appearance import dress
from fiftyone_legpose.dataset.database import database_in_use
from fiftyone_legpose.dataset.fields import SOURCE, SOURCE_BYTES, SOURCE_FRAMES
from fiftyone_legpose.dataset.frame_times import without_times, write_times
from fiftyone_legpose.dataset.pictures import image_metadata
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError, NothingLoadedError, UnreadableError
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.videos.find_files import (
    Sources,
    as_stored,
    find_files,
    nothing_loaded,
    skip_file,
)
from fiftyone_legpose.videos.playable_copy import (
    copies_folder,
    copy_again,
    find_lost_copies,
    playable_copy,
)
from fiftyone_legpose.videos.probe import needs_copy, probe
from fiftyone_legpose.videos.subjects import (
    Subject,
    list_without_subject,
    name_subjects,
    subject_lookup,
    tell_unnamed,
)

_INFO = "legpose_load"

_CHANGED = (
    "it has changed since it was loaded, and what the dataset holds of it belongs to the file "
    "before: load it under another name, or delete its sample and load it again"
)


@dataclass(frozen=True)
class LoadSummary:
    """What the last `load` into a dataset did."""

    added: int = 0
    known: int = 0
    copied: list[dict[str, str]] = field(default_factory=list)
    """Videos that the App cannot show as they are: ``path`` and ``reason`` of each copy."""
    skipped: list[dict[str, str]] = field(default_factory=list)
    """``path`` and ``reason`` of each file that could not be used."""
    without_subject: list[str] = field(default_factory=list)
    """Paths of files of which a subject that was given tells nothing, and none is known."""
    gone: list[str] = field(default_factory=list)
    """Paths of files that were loaded before and are not there any more."""
    database: str = ""
    """Where the database is that the dataset is in."""
    other_database: str | None = None
    """A warning, where that is not the database that was configured."""

    @property
    def notes(self) -> list[str]:
        """What a user should know besides, one line each."""
        notes = [self.other_database] if self.other_database else []
        if self.without_subject:
            notes.append(tell_unnamed(self.without_subject))
        if self.gone:
            notes.append(_are_gone(self.gone))
        return notes


@waits_its_turn("dataset")
def load(
    sources: Sources,
    dataset: str | fo.Dataset,
    *,
    subject: Subject | None = None,
    progress: Report | bool | None = None,
) -> fo.Dataset:
    """Load videos, or a folder of images, into a persistent dataset.

    Loading the same files again adds nothing; a subject given then is noted on them. A file of
    another size than the one that was loaded from its path is skipped. A video that browsers cannot
    show frame by frame (variable frame rate, a picture that starts late, rotated, pixels that are
    not square, odd codec) is copied as H.264, every frame of it; its original stays untouched. A
    copy that is gone is made again. When each frame was taken, by the original's clock, is kept in
    the frame field ``time_s``.

    Parameters
    ----------
    sources
        Files, folders or globs of videos (mp4, mov, avi, mkv, webm, mts, wmv, 3gp, mpg and more;
        all of `find_files.VIDEO_SUFFIXES`), or of images.
    dataset
        The dataset, or the name of one, which is made where there is none.
    subject
        Whom the files show: a name, a regular expression whose first group is found in the file
        name, or else in the name of the nearest folder that has one, the path of a CSV file with
        the columns ``file`` and ``subject``, or a mapping from file name, or from
        ``folder/file name``, to subject.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    fo.Dataset
        `load_summary` tells what was added, what was known, and what was skipped and why.

    Raises
    ------
    NothingLoadedError
        No source could be loaded and none was known; the message lists the reasons.
    DatasetError
        The dataset holds something else than the sources.
    """
    subject_of = subject_lookup(subject)
    videos, images, skipped = find_files(sources)
    kind = "video" if videos else "image"
    with _opened(dataset, kind, has_files=bool(videos or images)) as target:
        if kind == "video":
            skipped += [
                skip_file(p, "an image among videos; load images by themselves") for p in images
            ]
        sizes = _known_sources(target)
        found = as_stored(videos or images, sizes)
        new = [path for path in found if str(path) not in sizes]
        changed = [path for path in found if _has_changed(path, sizes.get(str(path)))]
        skipped += [skip_file(path, _CHANGED) for path in changed]
        others = {*new, *changed}
        known = [path for path in found if path not in others]
        samples: list[fo.Sample] = []
        times: list[np.ndarray] = []
        copied: list[dict[str, str]] = []
        lost = find_lost_copies(target, known) if kind == "video" else {}
        untimed = without_times(target) if kind == "video" else []
        todo = [*new, *lost]
        with reporting("load", progress if todo else False) as report:
            for number, path in enumerate(todo):
                report(number, len(todo), path.name)
                try:
                    if path in lost:
                        copy_again(target[lost[path]], path, copied)
                        continue
                    if kind == "video":
                        sample, times_s = _video_sample(path, copied)
                        times.append(times_s)
                    else:
                        sample = _image_sample(path)
                    samples.append(_described(sample, path, subject_of(path)))
                except UnreadableError as error:
                    skipped.append(skip_file(path, str(error)))
            report(len(todo), len(todo), "saving")
            if not samples and not known:
                raise NothingLoadedError(nothing_loaded(sources, skipped))
            _store(target, samples, times, untimed)
            if subject is not None:
                name_subjects(target, known, subject_of)
        unnamed = list_without_subject(target, found) if subject is not None else []
        database = database_in_use()
        summary = LoadSummary(
            added=len(samples),
            known=len(known),
            copied=copied,
            skipped=skipped,
            without_subject=unnamed,
            gone=_gone(target),
            database=database.place,
            other_database=database.warning,
        )
        target.info[_INFO] = vars(summary)
        target.save()
        dress(target)
    return target


def _described(sample: fo.Sample, path: Path, who: str | None) -> fo.Sample:
    """Note on a sample whom it shows, and how large its file was."""
    sample[fields.SUBJECT] = who
    sample[SOURCE_BYTES] = path.stat().st_size
    return sample


def _store(
    target: fo.Dataset,
    samples: Sequence[fo.Sample],
    times: Sequence[np.ndarray],
    untimed: Sequence[str],
) -> None:
    """Add samples to a dataset, of videos with the time of every frame."""
    _declare(target)
    target.add_samples(samples, progress=False)
    if target.media_type == "video":
        target.ensure_frames()
        write_times(target, dict(zip([s.id for s in samples], times, strict=True)))
        write_times(target, _times_again(target, untimed))


def load_summary(dataset: fo.Dataset) -> LoadSummary:
    """Tell what the last `load` into a dataset did."""
    return LoadSummary(**dataset.info.get(_INFO, {}))


EMPTY = "videos"
"""Name of the dataset that the App opens with where there is none: it needs one for its panels."""


def last_opened() -> fo.Dataset:
    """Give the dataset that was opened last, or an empty one to load videos into."""
    known = [info for info in fo.list_datasets(info=True) if info["persistent"]]
    if known:
        last = max(known, key=lambda info: info["last_loaded_at"] or info["created_at"])
        return fo.load_dataset(last["name"])
    made = _open_dataset(EMPTY, "video", has_files=False)
    _declare(made)
    dress(made)
    return made


def is_loaded(dataset: fo.Dataset) -> bool:
    """Tell whether `load` has put anything into a dataset."""
    return _INFO in dataset.info


def _gone(dataset: fo.Dataset) -> list[str]:
    """List the files that are not where they were when they were loaded."""
    # Others may keep something else than a path in a field of this name.
    sources = [Path(source) for source in dataset.values(SOURCE) if source]
    return [str(path) for path in sources if path.is_absolute() and not path.exists()]


def _are_gone(paths: Sequence[str]) -> str:
    one = f"1 known file is gone from its place, {paths[0]}"
    more = f"{len(paths)} known files are gone from their place, the first of them {paths[0]}"
    return (
        f"{one if len(paths) == 1 else more}: a file that was moved "
        "counts as a new one, so move it back, or delete the sample of its former place"
    )


@contextmanager
def _opened(dataset: str | fo.Dataset, kind: str, *, has_files: bool) -> Iterator[fo.Dataset]:
    """Open or make the dataset, and leave no empty one behind if loading breaks off."""
    is_new = isinstance(dataset, str) and not fo.dataset_exists(dataset)
    target = _open_dataset(dataset, kind, has_files=has_files)
    try:
        yield target
    except BaseException:
        if is_new and not len(target):
            target.delete()
        raise


def _open_dataset(dataset: str | fo.Dataset, kind: str, *, has_files: bool) -> fo.Dataset:
    if isinstance(dataset, str):
        if not fo.dataset_exists(dataset):
            try:
                made = fo.Dataset(dataset, persistent=True)
            except ValueError as error:
                # Names that are taken in another spelling, or of signs that no address has.
                raise DatasetError(
                    f"A dataset cannot be named {dataset!r}: {error}. Choose another name, of "
                    "letters from a to z, digits and -."
                ) from None
            made.media_type = kind
            return made
        dataset = fo.load_dataset(dataset)
    if has_files and len(dataset) and dataset.media_type != kind:
        raise DatasetError(
            f"Dataset {dataset.name!r} holds {dataset.media_type}s and these sources are {kind}s: "
            "load them into a dataset of their own."
        )
    if has_files and not len(dataset):
        dataset.media_type = kind
    dataset.persistent = True
    return dataset


def _known_sources(dataset: fo.Dataset) -> dict[str, int | None]:
    """Give the size in bytes that each known file had when it was loaded, None if nobody noted."""
    paths, of_files = dataset.values(["filepath", "metadata.size_bytes"])
    sizes: dict[str, int | None] = dict(zip(paths, of_files, strict=True))
    if dataset.has_sample_field(SOURCE):
        sources = dataset.values(SOURCE)
        noted = dataset.has_sample_field(SOURCE_BYTES)
        of_sources = dataset.values(SOURCE_BYTES) if noted else [None] * len(sources)
        for source, size in zip(sources, of_sources, strict=True):
            sizes[source] = sizes.get(source) if size is None else size
    return sizes


def _has_changed(path: Path, size: int | None) -> bool:
    # By its size alone: a file that is copied back or restored can get another time of change,
    # and another recording of the very same size is not to be expected.
    return size is not None and path.stat().st_size != size


def _video_sample(path: Path, copied: list[dict[str, str]]) -> tuple[fo.Sample, np.ndarray]:
    """Make the sample of a video, and tell when each of its frames (F,) was taken."""
    facts = probe(path)
    frames, times_s = facts.frame_count, facts.times_s
    reason = needs_copy(path, facts)
    shown = path
    if reason:
        copy = playable_copy(path, facts, copies_folder())
        shown, times_s = copy.path, copy.times_s
        copied.append({"path": str(path), "reason": reason})
        facts = probe(shown)
    metadata = fo.VideoMetadata.build_for(str(shown))
    metadata.total_frame_count = facts.frame_count
    metadata.frame_rate = facts.frame_rate
    known = {SOURCE: str(path), SOURCE_FRAMES: frames}
    return fo.Sample(filepath=str(shown), metadata=metadata, **known), times_s - times_s[:1]


def _times_again(dataset: fo.Dataset, sample_ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Read when frames were taken that were loaded before it was kept, or whose load broke off.

    A copy of then was resampled: its frames are not those of its source.
    """
    times = {}
    for sample in dataset.select(sample_ids):
        is_copy = sample.filepath != sample[SOURCE] and sample[SOURCE_FRAMES] is None
        with suppress(UnreadableError, TypeError):
            facts = probe(Path(sample[SOURCE]))
            if not is_copy and len(facts.times_s) == sample.metadata.total_frame_count:
                times[sample.id] = facts.times_s - facts.times_s[:1]
    return times


def _image_sample(path: Path) -> fo.Sample:
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:
        # Besides OSError: SyntaxError of a broken PNG, a picture too large to be true, ImportError
        # of a missing HEIF reader that ultralytics, once loaded, asks about what PIL refuses.
        reason = "the file is empty" if path.stat().st_size == 0 else f"no readable image: {error}"
        raise UnreadableError(reason.replace(str(path), "the file")) from None
    return fo.Sample(filepath=str(path), metadata=image_metadata(path), **{SOURCE: str(path)})


def _declare(dataset: fo.Dataset) -> None:
    """Set fields, their descriptions and the skeleton: an empty dataset explains itself."""
    for name, kind, description in (
        (
            SOURCE,
            fo.StringField,
            "The file as it was loaded; the filepath may be a playable copy of it",
        ),
        (SOURCE_BYTES, fo.IntField, "Size of the file when it was loaded"),
        (SOURCE_FRAMES, fo.IntField, "Frames of the file as it was loaded, if a video"),
        (
            fields.SUBJECT,
            fo.StringField,
            "The person filmed; training keeps one subject on one side of a split",
        ),
    ):
        dataset.add_sample_field(name, kind, description=description)
    keypoint_labels.declare(dataset, fields.PREDICTIONS, boxes=True)
    keypoint_labels.declare(dataset, fields.GROUND_TRUTH)
