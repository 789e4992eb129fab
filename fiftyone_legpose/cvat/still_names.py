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
from fiftyone_legpose.dataset.fields import SOURCE, STILLS_PER_S
from fiftyone_legpose.dataset.frames import source_dataset
from fiftyone_legpose.dataset.pose_table import PoseTable
from fiftyone_legpose.errors import DatasetError

_NUMBERED = re.compile(r"(.+)_(\d+)")
_CVAT_FRAME = "frame"


class StillNames:
    """Finds frames of a collection by the names (without suffix) that stills of them bear.

    Known are names that a push gave, names of images, ``<video>_<00001>`` as `extract_frames`
    writes them, and, if there is one video alone, ``frame_<000000>`` as CVAT calls its frames.
    Files of one name are told apart by their folders, where a name has any.

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
        self._table = table
        self._fps = fps
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

    def find(self, name: str) -> int | None:
        """Give the position of a still's frame in the table, or None.

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
        parts = _NUMBERED.fullmatch(name)
        if parts is None:
            return None
        stem, number = parts[1], int(parts[2])
        sample = self._videos.find(stem)
        if sample is not None:
            return self._by_number.get((sample, self._frame_number(sample, number, name)))
        if stem == _CVAT_FRAME and len(self._table.sample_ids) == 1 and any(self._videos):
            return self._by_number.get((0, number + 1))
        return None

    def examples(self) -> str:
        """Tell how stills of these frames are named."""
        names = [*self._images, *(f"{video}_00001" for video in self._videos), *self._pushed]
        return ", ".join(names[:3]) or "nothing"

    def _frame_number(self, sample: int, still: int, name: str) -> int:
        rate = float(self._table.frame_rates[sample])
        if self._fps is not None:
            return _frame_at(still, self._fps, rate)
        sampled = _frame_at(still, STILLS_PER_S, rate)
        if sampled != still:
            raise DatasetError(
                f"{name} is frame {sampled} of a video of {rate:g} frames per second if "
                f"{STILLS_PER_S:g} stills per second were extracted, as `legpose frames` does, and "
                f"frame {still} if every frame was. Say which: fps={STILLS_PER_S:g} "
                f"(--fps {STILLS_PER_S:g}), or fps={ceil(rate)} (--fps {ceil(rate)})."
            )
        return still


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


def _frame_at(still: int, fps: float, rate: float) -> int:
    if np.isnan(rate) or fps >= rate:
        return still
    # ffmpeg's fps filter shows the last frame whose time rounds to the still's or before.
    return ceil(round((still - 0.5) / fps * rate, 6))


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
        sources = view.values(SOURCE)
    return [
        [path for path in (filepath, source) if path]
        for filepath, source in zip(table.filepaths, sources, strict=True)
    ]
