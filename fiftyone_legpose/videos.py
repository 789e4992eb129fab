"""load: video files, folders, globs and image folders into a FiftyOne dataset."""

import csv
import glob
import io
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import fiftyone as fo
from PIL import Image

from fiftyone_legpose import media
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.dataset.appearance import dress
from fiftyone_legpose.dataset.fields import SOURCE, SOURCE_BYTES, STILLS_PER_S, VIDEO
from fiftyone_legpose.errors import DatasetError, NothingLoadedError
from fiftyone_legpose.progress import Report, reporting

logger = logging.getLogger(__name__)

_INFO = "legpose_load"

_CHANGED = (
    "it has changed since it was loaded, and what the dataset holds of it belongs to the file "
    "before: load it under another name, or delete its sample and load it again"
)

# What a pattern holds and the name of a person does not.
_PATTERN_SIGNS = re.compile(r"[()\[\]\\*+?^$|]")

Sources = str | Path | Iterable[str | Path]
Subject = str | Path | re.Pattern[str] | Mapping[str, str]


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

    @property
    def notes(self) -> list[str]:
        """What a user should know besides, one line each."""
        notes = []
        if self.without_subject:
            notes.append(_unnamed(self.without_subject))
        if self.gone:
            notes.append(_are_gone(self.gone))
        return notes


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
    show frame by frame (variable frame rate, rotated, pixels that are not square, odd codec) is
    copied as H.264; its original stays untouched. A copy that is gone is made
    again.

    Parameters
    ----------
    sources
        Files, folders or globs of videos (mp4, mov, avi, mkv, webm, mts, wmv, 3gp, mpg and more;
        all of `media.VIDEO_SUFFIXES`), or of images.
    dataset
        The dataset, or the name of one, which is made where there is none.
    subject
        Whom the files show: a name, a regular expression whose first group is found in the file
        name, or else in ``folder/file name``, the path of a CSV file with the columns ``file`` and
        ``subject``, or a mapping from file name, or ``folder/file name``, to subject.
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
    subject_of = _subject_lookup(subject)
    videos, images, skipped = _find_files(sources)
    kind = "video" if videos else "image"
    with _opened(dataset, kind, has_files=bool(videos or images)) as target:
        if kind == "video":
            skipped += [
                _skip(p, "an image among videos; load images by themselves") for p in images
            ]
        sizes = _known_sources(target)
        found = videos or images
        new = [path for path in found if str(path) not in sizes]
        changed = [path for path in found if _has_changed(path, sizes.get(str(path)))]
        skipped += [_skip(path, _CHANGED) for path in changed]
        others = {*new, *changed}
        known = [path for path in found if path not in others]
        samples: list[fo.Sample] = []
        copied: list[dict[str, str]] = []
        lost = _lost_copies(target, known) if kind == "video" else {}
        todo = [*new, *lost]
        with reporting("load", progress if todo else False) as report:
            for number, path in enumerate(todo):
                report(number, len(todo), path.name)
                try:
                    if path in lost:
                        _copy_again(target[lost[path]], path, copied)
                        continue
                    sample = _video_sample(path, copied) if kind == "video" else _image_sample(path)
                except media.UnreadableError as error:
                    skipped.append(_skip(path, str(error)))
                    continue
                sample[fields.SUBJECT] = subject_of(path)
                sample[SOURCE_BYTES] = path.stat().st_size
                samples.append(sample)
            report(len(todo), len(todo), "saving")
            if not samples and not known:
                raise NothingLoadedError(_nothing_loaded(sources, skipped))
            _declare(target)
            target.add_samples(samples, progress=False)
            if kind == "video":
                target.ensure_frames()
            if subject is not None:
                _name_subjects(target, known, subject_of)
        unnamed = _without_subject(target, found) if subject is not None else []
        summary = LoadSummary(len(samples), len(known), copied, skipped, unnamed, _gone(target))
        target.info[_INFO] = vars(summary)
        target.save()
        dress(target)
    return target


def load_summary(dataset: fo.Dataset) -> LoadSummary:
    """Tell what the last `load` into a dataset did."""
    return LoadSummary(**dataset.info.get(_INFO, {}))


def extract_frames(
    videos: Sources,
    folder: str | Path,
    *,
    fps: float = STILLS_PER_S,
    dataset: str | fo.Dataset | None = None,
    subject: Subject | None = None,
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
        Two videos have one name, so that their stills would have too; or the folder holds other
        stills of a video, such as of another rate: labels on them would come to other pictures.
    """
    if fps <= 0:
        raise DatasetError(f"fps must be above 0, not {fps}: give stills per second of video.")
    found, _, skipped = _find_files(videos)
    _refuse_namesakes(found)
    subject_of = _subject_lookup(subject)
    stills: dict[Path, list[Path]] = {}
    with reporting("frames", progress) as report:
        for number, path in enumerate(found):
            report(number, len(found), path.name)
            try:
                stills[path] = media.write_stills(
                    path, Path(folder).expanduser(), fps=fps, name=path.stem
                )
            except media.UnreadableError as error:
                skipped.append(_skip(path, str(error)))
        report(len(found), len(found), "done")
    if not stills:
        raise NothingLoadedError(_nothing_loaded(videos, skipped))
    for item in skipped:
        logger.warning("Left out %s: %s", item["path"], item["reason"])
    unnamed = [str(video) for video in stills if subject_of(video) is None]
    if subject is not None and unnamed:
        logger.warning("%s", _unnamed(unnamed))
    written = [still for of_video in stills.values() for still in of_video]
    if dataset is not None:
        loaded = load(written, dataset, progress=False)
        origin = {str(s.resolve()): video for video, of in stills.items() for s in of}
        view = loaded.match(fo.ViewField(SOURCE).is_in(list(origin)))
        sources = view.values(SOURCE)
        loaded.add_sample_field(VIDEO, fo.StringField)
        view.set_values(VIDEO, [origin[s].stem for s in sources])
        told = {i: subject_of(origin[s]) for i, s in zip(view.values("id"), sources, strict=True)}
        known = {i: who for i, who in told.items() if who is not None}
        view.set_values(fields.SUBJECT, known, key_field="id")
    return written


def _find_files(sources: Sources) -> tuple[list[Path], list[Path], list[dict[str, str]]]:
    """Expand sources into videos, images and skipped files, each once, in a stable order."""
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    videos: dict[Path, None] = {}
    images: dict[Path, None] = {}
    skipped: list[dict[str, str]] = []
    for source in given:
        path = Path(source).expanduser()
        if path.is_dir():
            chosen, unread = _media_in(path)
            skipped += unread
            if not chosen and not unread:
                skipped.append(_skip(path, "the folder holds no videos and no images"))
        elif path.exists():
            chosen, unread = _media_in(path)
            skipped += unread
            if not chosen and not unread:
                skipped.append(_skip(path, f"{path.suffix or 'no suffix'} is no video or image"))
        else:
            matches = sorted(Path(p) for p in glob.glob(str(path), recursive=True))
            parts = [_media_in(match) for match in matches]
            chosen = [file for files, _ in parts for file in files]
            unread = [item for _, items in parts for item in items]
            skipped += unread
            if not chosen and not unread:
                reason = (
                    "no video and no image is called so" if matches else "there is no such file"
                )
                skipped.append(_skip(path, reason))
        for file in chosen:
            if file.suffix.lower() in media.VIDEO_SUFFIXES:
                videos[file.resolve()] = None
            elif file.suffix.lower() in media.IMAGE_SUFFIXES:
                images[file.resolve()] = None
    return list(videos), list(images), skipped


def _media_in(path: Path) -> tuple[list[Path], list[dict[str, str]]]:
    """List the videos and images of a folder and all below it, or the file itself if it is one.

    Pictures of other types come second, as skipped: whoever has them expects them to be there.
    """
    files = [path]
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file())
        files = [file for file in inside if not file.name.startswith(".")]
    unread = [
        _skip(file, f"{file.suffix} pictures are not read: save it as JPEG or PNG")
        for file in files
        if file.suffix.lower() in media.UNREAD_SUFFIXES
    ]
    return [file for file in files if _suffix(file)], unread


def _refuse_namesakes(videos: Iterable[Path]) -> None:
    by_name: dict[str, Path] = {}
    for path in videos:
        other = by_name.setdefault(path.stem, path)
        if other != path:
            raise DatasetError(
                f"{other} and {path} have one name, so the stills of one would replace those of "
                "the other: extract them into folders of their own, one after the other."
            )


def _suffix(path: Path) -> bool:
    return path.suffix.lower() in media.VIDEO_SUFFIXES | media.IMAGE_SUFFIXES


def _skip(path: Path, reason: str) -> dict[str, str]:
    return {"path": str(path), "reason": reason}


def _nothing_loaded(sources: Sources, skipped: list[dict[str, str]]) -> str:
    lines = [f"  {item['path']}: {item['reason']}" for item in skipped]
    return (
        "Nothing could be loaded. Give video files, folders or globs "
        "(mp4, mov, avi, mkv, webm, mts, wmv, 3gp, mpg and more) or folders of images.\n"
        + "\n".join(lines or [str(sources)])
    )


def _name_subjects(
    dataset: fo.Dataset, paths: Iterable[Path], subject_of: Callable[[Path], str | None]
) -> None:
    """Note whom files that were loaded before show, where the lookup tells it."""
    told = {str(path): who for path in paths if (who := subject_of(path)) is not None}
    is_known = fo.ViewField(SOURCE).is_in(list(told)) | fo.ViewField("filepath").is_in(list(told))
    view = dataset.match(is_known)
    rows = zip(*view.values([SOURCE, "filepath"]), strict=True)
    view.set_values(fields.SUBJECT, [told.get(source) or told[path] for source, path in rows])


def _without_subject(dataset: fo.Dataset, paths: Iterable[Path]) -> list[str]:
    """List files of which no subject is known, of those that are in the dataset."""
    rows = zip(*dataset.values([SOURCE, "filepath", fields.SUBJECT]), strict=True)
    unnamed = {name for source, path, who in rows if not who for name in (source, path)}
    return [str(path) for path in paths if str(path) in unnamed]


def _unnamed(paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return f"1 file without a subject: {paths[0]}"
    return f"{len(paths)} files without a subject, such as {paths[0]}"


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
            made = fo.Dataset(dataset, persistent=True)
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


def _video_sample(path: Path, copied: list[dict[str, str]]) -> fo.Sample:
    facts = media.probe(path)
    reason = media.needs_copy(path, facts)
    shown = path
    if reason:
        shown = media.playable_copy(path, facts, _copies_folder())
        copied.append({"path": str(path), "reason": reason})
        facts = media.probe(shown)
    metadata = fo.VideoMetadata.build_for(str(shown))
    metadata.total_frame_count = facts.frame_count
    metadata.frame_rate = facts.frame_rate
    return fo.Sample(filepath=str(shown), metadata=metadata, **{SOURCE: str(path)})


def _lost_copies(dataset: fo.Dataset, known: Iterable[Path]) -> dict[Path, str]:
    """Find the samples, by their source, whose playable copy is not there any more."""
    if not dataset.has_sample_field(SOURCE):
        return {}
    rows = zip(*dataset.values([SOURCE, "filepath", "id"]), strict=True)
    copies = {
        source: sample_id
        for source, copy, sample_id in rows
        if Path(copy).parent.name == _copies_folder().name and not Path(copy).exists()
    }
    return {path: copies[str(path)] for path in known if str(path) in copies}


def _copy_again(sample: fo.Sample, path: Path, copied: list[dict[str, str]]) -> None:
    """Make a playable copy anew where the labels of the dataset still look for it."""
    copy, before, facts = Path(sample.filepath), sample.metadata, media.probe(path)
    if before is not None and before.frame_rate:
        # The labels count frames at the rate that the copy had, however rates are told today.
        facts = replace(facts, frame_rate=before.frame_rate)
    media.write_copy(path, facts, copy)
    made = media.probe(copy)
    if before is not None and before.total_frame_count not in (None, made.frame_count):
        copy.unlink()
        raise media.UnreadableError(
            f"its playable copy was lost, and made again it has {made.frame_count} frames instead "
            f"of {before.total_frame_count}: delete its sample and load it again"
        )
    if before is not None:
        before.frame_width, before.frame_height = made.width, made.height
        sample.save()
    copied.append({"path": str(path), "reason": "its copy was gone"})


def _copies_folder() -> Path:
    return Path(fo.config.default_dataset_dir) / "legpose" / "playable-copies"


def _image_sample(path: Path) -> fo.Sample:
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:
        # Besides OSError: SyntaxError of a broken PNG, a picture too large to be true, ImportError
        # of a missing HEIF reader that ultralytics, once loaded, asks about what PIL refuses.
        reason = "the file is empty" if path.stat().st_size == 0 else f"no readable image: {error}"
        raise media.UnreadableError(reason.replace(str(path), "the file")) from None
    metadata = fo.ImageMetadata.build_for(str(path))
    return fo.Sample(filepath=str(path), metadata=metadata, **{SOURCE: str(path)})


def _declare(dataset: fo.Dataset) -> None:
    """Set fields, their descriptions and the skeleton: an empty dataset explains itself."""
    for name, kind, description in (
        (
            SOURCE,
            fo.StringField,
            "The file as it was loaded; the filepath may be a playable copy of it",
        ),
        (SOURCE_BYTES, fo.IntField, "Size of the file when it was loaded"),
        (
            fields.SUBJECT,
            fo.StringField,
            "The person filmed; training keeps one subject on one side of a split",
        ),
    ):
        dataset.add_sample_field(name, kind, description=description)
    keypoint_labels.declare(dataset, fields.PREDICTIONS, boxes=True)
    keypoint_labels.declare(dataset, fields.GROUND_TRUTH)


def _subject_lookup(subject: Subject | None) -> Callable[[Path], str | None]:
    if subject is None:
        return lambda path: None
    if isinstance(subject, Mapping):
        named = {_spelled(key).replace("\\", "/"): who for key, who in subject.items()}

        def from_table(path: Path) -> str | None:
            # The folder first: files of one name in many folders have a line each.
            nearest = path.parent.name
            keys = [f"{nearest}/{path.name}", f"{nearest}/{path.stem}", path.name, path.stem]
            found = (_spelled(named.get(_spelled(key)) or "") for key in keys)
            return next((who for who in found if who), None)

        return from_table
    if isinstance(subject, Path) or (isinstance(subject, str) and subject.endswith(".csv")):
        return _subject_lookup(_read_subjects(Path(subject)))
    if isinstance(subject, str) and not _PATTERN_SIGNS.search(subject):
        return lambda path: subject
    try:
        pattern = re.compile(subject)
    except re.error as error:
        raise DatasetError(
            f"The subject pattern {subject!r} is no regular expression: {error}."
        ) from None
    if not pattern.groups:
        raise DatasetError(
            f"The subject pattern {pattern.pattern!r} has no group: put the part of the file name "
            r"that is the subject into parentheses, for example (P\d+)."
        )

    def from_name(path: Path) -> str | None:
        # A folder a patient is as common as a name in each file's.
        for text in (path.name, f"{path.parent.name}/{path.name}"):
            if (found := pattern.search(_spelled(text))) and found.group(1):
                return found.group(1)
        return None

    return from_name


def _spelled(name: str) -> str:
    """Write a name in the one way that names are compared in.

    macOS takes umlauts apart in file names, and nobody sees a space at the end of a table's cell.
    """
    return unicodedata.normalize("NFC", name).strip()


def _read_subjects(path: Path) -> dict[str, str]:
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"The subject table {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DatasetError(
            f"The subject table {path} is not in UTF-8: save it as 'CSV UTF-8', as spreadsheets "
            "call it."
        ) from None
    # Excel separates by semicolons where numbers have a decimal comma, and calls it CSV too.
    delimiter = max(",;\t", key=text.strip().partition("\n")[0].count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    columns = [column.strip() for column in rows[0]] if rows else []
    if rows and not {"file", "subject"} <= set(columns):
        raise DatasetError(
            f"The subject table {path} needs the columns 'file' and 'subject', it has "
            f"{', '.join(map(repr, columns))}."
        )
    cells = [dict(zip(columns, row, strict=False)) for row in rows[1:]]
    return {row["file"]: row.get("subject", "") for row in cells if "file" in row}
