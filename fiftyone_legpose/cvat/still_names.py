"""Which frame of a dataset a still shows, by its name."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np

from cvat_bridge.names import plain_name
from fiftyone_legpose.cvat.announce import BACKEND
from fiftyone_legpose.cvat.results import load_results
from fiftyone_legpose.dataset.fields import SOURCE, SOURCE_FRAMES, STILLS_PER_S
from fiftyone_legpose.dataset.frame_times import frame_of_still, video_times
from fiftyone_legpose.dataset.frames import sample_values, source_dataset
from fiftyone_legpose.dataset.pose_table import PoseTable
from fiftyone_legpose.errors import DatasetError, UnreadableError
from fiftyone_legpose.videos.probe import probe

_NUMBERED = re.compile(r"(.+)_(\d+)")
_OF_DEEPLABCUT = re.compile(r"(.+)/img(\d+)")
_CVAT_FRAME = "frame"
_SOME_MISSING = "its playable copy lacks"


class StillNames:
    """Finds frames of a collection by the names (without suffix) that stills of them bear.

    Known are names that a push gave, names of images, ``<video>_<00001>`` as `extract_frames`
    writes them, and, if there is one video alone, ``frame_<000000>`` as CVAT calls its frames.
    DeepLabCut numbers frames from 0, ``<video>/img<0000>``. Files of one name are told apart by
    their folders, where a name has any.

    Parameters
    ----------
    view
        Image or video collection.
    table
        Its frames, from `poses.read_poses`.
    fps
        Stills per second that were extracted; None if each frame was, which must be said (the
        rate of the video, or more) where `extract_frames` takes fewer by default.
    """

    def __init__(self, view: Any, table: PoseTable, *, fps: float | None = None):
        self._view = view
        self._table = table
        self._fps = fps
        self._times_s: dict[int, np.ndarray] = {}
        self._differences: dict[int, str | None] = {}
        self._position = {frame_id: i for i, frame_id in enumerate(table.frame_ids)}
        self._pushed = _pushed_names(source_dataset(view), self._position)
        video = view.media_type == "video"
        paths = _paths_of(view, table)
        self._images = _Names([] if video else paths)
        self._videos = _Names(paths if video else [])
        self._by_number = {
            (int(sample), int(number)): i
            for i, (sample, number) in enumerate(
                zip(table.frame_sample, table.frame_number, strict=True)
            )
        }

    def find(self, name: str, *, every_frame: bool = False) -> int | None:
        """Give the position of a still's frame in the table, or None.

        With `every_frame` the number in a name is that of the frame, whatever was extracted.

        Raises
        ------
        DatasetError
            The frame depends on how many stills a second were extracted, which nobody said.
        """
        if name in self._pushed:
            return self._pushed[name]
        image = self._images.find(name)
        if image is not None:
            return image
        parts = _OF_DEEPLABCUT.fullmatch(name)
        if parts is not None:
            sample = self._videos.find(parts[1])
            if sample is None:
                return None
            self._check_same_frames(sample, name, every=True)
            return self._by_number.get((sample, int(parts[2]) + 1))
        parts = _NUMBERED.fullmatch(name)
        if parts is None:
            return None
        stem, number = parts[1], int(parts[2])
        sample = self._videos.find(stem)
        if sample is not None:
            if every_frame:
                self._check_same_frames(sample, name, every=True)
                return self._by_number.get((sample, number))
            shown = self._frame_number(sample, number, name)
            return None if shown is None else self._by_number.get((sample, shown))
        if stem == _CVAT_FRAME and len(self._table.sample_ids) == 1 and any(self._videos):
            self._check_same_frames(0, name, every=True)
            return self._by_number.get((0, number + 1))
        return None

    def examples(self) -> str:
        """Tell how stills of these frames are named."""
        names = [*self._images, *(f"{video}_00001" for video in self._videos), *self._pushed]
        return ", ".join(names[:3]) or "nothing"

    def _frame_number(self, sample: int, still: int, name: str) -> int | None:
        self._check_same_frames(sample, name)
        rate = float(self._table.frame_rates[sample])
        if self._fps is not None:
            return self._frame_at(sample, still, self._fps)
        sampled = self._frame_at(sample, still, STILLS_PER_S)
        if sampled is not None and sampled != still:
            raise DatasetError(
                f"{name} is frame {sampled} of a video of {rate:g} frames per second if "
                f"{STILLS_PER_S:g} stills per second were extracted, as `legpose frames` does, and "
                f"frame {still} if every frame was. Say which: fps={STILLS_PER_S:g} "
                f"(--fps {STILLS_PER_S:g}), or fps={ceil(rate)} (--fps {ceil(rate)})."
            )
        return still

    def _frame_at(self, sample: int, still: int, fps: float) -> int | None:
        rate = float(self._table.frame_rates[sample])
        if np.isnan(rate) or fps >= rate:
            return still
        if sample not in self._times_s:
            # Of the whole video: a view may hold some of its frames.
            video = source_dataset(self._view).select(self._table.sample_ids[sample])
            self._times_s[sample] = np.array(list(video_times(video).values()))
        return frame_of_still(self._times_s[sample], still, fps)

    def _check_same_frames(self, sample: int, name: str, *, every: bool = False) -> None:
        """Refuse a video whose frames are not those of the file that was labelled.

        With `every`, the labels count all frames of the file, also those that cannot be decoded.

        Raises
        ------
        DatasetError
        """
        if sample not in self._differences:
            one = source_dataset(self._view)[self._table.sample_ids[sample]]
            self._differences[sample] = _difference(one)
        difference = self._differences[sample]
        if difference and (every or not difference.startswith(_SOME_MISSING)):
            raise DatasetError(
                f"{name} cannot be mapped to a frame of this dataset: {difference}. Load the video "
                "into a new dataset, label frames of it (legpose push, or legpose frames), or "
                "leave it out."
            )


def _difference(sample: fo.Sample) -> str | None:
    """Say how the frames of a copy differ from those of the original; None where they do not."""
    source = sample[SOURCE] if sample.has_field(SOURCE) else None
    if source is None or source == sample.filepath:
        return None
    if sample.has_field(SOURCE_FRAMES) and sample[SOURCE_FRAMES] is not None:
        lost = sample[SOURCE_FRAMES] - sample.metadata.total_frame_count
        return f"{_SOME_MISSING} {lost} of its frames, which cannot be decoded" if lost else None
    try:
        facts = probe(Path(source))
    except UnreadableError as error:
        return f"its playable copy may have other frames than the original {source}: {error}"
    kept = facts.frame_count == sample.metadata.total_frame_count and facts.constant_rate
    return None if kept else "frames of its playable copy were repeated or left out"


class _Names:
    """Samples by the names of their files, with as many of their folders as are said."""

    def __init__(self, paths: Sequence[Iterable[str]]):
        self._exact: dict[str, set[tuple[int, tuple[str, ...]]]] = defaultdict(set)
        self._alike: dict[str, set[tuple[int, tuple[str, ...]]]] = defaultdict(set)
        for sample, of_sample in enumerate(paths):
            for path in of_sample:
                *folders, name = Path(path).with_suffix("").parts
                self._exact[name].add((sample, tuple(folders)))
                spelled = tuple(plain_name(folder) for folder in folders)
                self._alike[plain_name(name)].add((sample, spelled))

    def __iter__(self) -> Iterator[str]:
        return iter(self._exact)

    def find(self, name: str) -> int | None:
        """Give the only sample of a name, or of the only one like it, or None.

        A name with folders needs a sample with at least the last of these.
        """
        for names, spelled in ((self._exact, name), (self._alike, plain_name(name))):
            *folders, last = spelled.split("/")
            for start in range(len(folders) or 1):
                wanted = tuple(folders[start:])
                samples = {
                    sample
                    for sample, of in names.get(last, ())
                    if not wanted or of[-len(wanted) :] == wanted
                }
                if len(samples) == 1:
                    return samples.pop()
        return None


def _pushed_names(dataset: fo.Dataset, position: dict[str, int]) -> dict[str, int]:
    names: dict[str, int] = {}
    for key in dataset.list_annotation_runs(method=BACKEND):
        results = load_results(dataset, key)
        if results is not None:
            pairs = zip(results.run.frames.names, results.run.frames.ids, strict=True)
            names |= {name: position[frame] for name, frame in pairs if frame in position}
    return names


def _paths_of(view: Any, table: PoseTable) -> list[list[str]]:
    """Give the paths of each sample: of its file, and of the file that it was copied from."""
    sources: Iterable[str | None] = [None] * len(table.sample_ids)
    if view.has_sample_field(SOURCE):
        [sources] = sample_values(view, SOURCE)
    return [
        [path for path in (filepath, source) if path]
        for filepath, source in zip(table.filepaths, sources, strict=True)
    ]
