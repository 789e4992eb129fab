"""People with clean paths, one by one, for the formats that hold one person's motion."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.file_names import file_names
from fiftyone_legpose.dataset.frames import sample_values, source_dataset
from fiftyone_legpose.trajectories.path_labels import read_paths
from fiftyone_legpose.trajectories.paths import Path

_UNEVEN = 0.1


@dataclass(frozen=True)
class Person:
    """One track of one video, on frames in even steps."""

    video: str
    subject: str | None
    track: int
    frame: np.ndarray
    """(T,): frame numbers, from 1; the nearest where frames are not even."""
    time_s: np.ndarray
    """(T,): in even steps."""
    points: np.ndarray
    """(T, K, 2) in px, NaN where missing."""
    confidence: np.ndarray
    """(T, K): of the prediction, 1 where corrected, 0 where filled or missing."""
    leg_px: float
    gait: dict[str, Any] | None
    """What `gait` found of this track, see `gait_analysis.record`; None where it was not run."""

    @property
    def rate_hz(self) -> float:
        """Frames per second."""
        return float(1 / (self.time_s[1] - self.time_s[0])) if len(self.time_s) > 1 else 0.0

    @property
    def bouts(self) -> list[dict[str, Any]]:
        """Walking bouts."""
        return list(self.gait["bouts"]) if self.gait else []

    @property
    def m_per_leg(self) -> float | None:
        """Metres of a leg length, where something was measured."""
        scales = [bout["scale"]["m_per_leg"] for bout in self.bouts if bout["scale"]]
        return float(scales[0]) if scales else None

    @property
    def events(self) -> list[dict[str, Any]]:
        """Events of all bouts."""
        return [event for bout in self.bouts for event in bout["events"]]

    def in_metres(self) -> tuple[np.ndarray, str]:
        """Give the points with y up from the lowest one, and their unit: m, or px without a scale.

        Returns
        -------
        points : np.ndarray
            Shape (T, K, 3); z, across the picture, is 0.
        unit : str
        """
        lowest = np.nanmax(self.points[..., 1]) if np.isfinite(self.points).any() else 0.0
        flat = np.stack(
            [self.points[..., 0], lowest - self.points[..., 1], 0 * self.points[..., 0]], axis=-1
        )
        scale = self.m_per_leg
        return (flat, "px") if scale is None else (flat / self.leg_px * scale, "m")


def video_names(view: Any) -> dict[str, str]:
    """Name each sample by its file; files of the same name are told apart by their sample ids.

    Of the same name in the dataset: what a video is called does not depend on the view.
    """
    [ids], names = sample_values(view, "id"), file_names(view)
    count = Counter(file_names(source_dataset(view)))
    return {
        sample: name if count[name] == 1 else f"{name}#{sample}"
        for sample, name in zip(ids, names, strict=True)
    }


def subjects(view: Any) -> list[str | None]:
    """Name whom each sample shows, where that is known."""
    if not view.has_sample_field(fields.SUBJECT):
        return [None] * len(view)
    [found] = sample_values(view, fields.SUBJECT)
    return [None if subject is None else str(subject) for subject in found]


def read_people(view: Any, field: str) -> Iterator[Person]:
    """Read everybody with a clean path, video by video.

    Parameters
    ----------
    view
        Videos that `smooth` has been through; of a view the whole videos.
    field
        The clean paths.

    Raises
    ------
    DatasetError
        There are no clean paths.
    """
    dataset = source_dataset(view)
    names = video_names(view)
    for (sample_id, name), subject in zip(names.items(), subjects(view), strict=True):
        video = dataset.select(sample_id)
        paths, _ = read_paths(video, field)
        [sample] = video
        has_gait = sample.has_field(fields.GAIT_DETAILS) and sample[fields.GAIT_DETAILS]
        found = sample[fields.GAIT_DETAILS]["people"] if has_gait else []
        gait = {person["track"]: person for person in found}
        for path in paths:
            frame, time_s, points, confidence = _even(path)
            yield Person(
                video=name,
                subject=subject,
                track=path.track,
                frame=frame,
                time_s=time_s,
                points=points,
                confidence=confidence,
                leg_px=path.leg_px,
                gait=gait.get(path.track),
            )


def _even(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bring a path onto even steps, without inventing anything where it has a gap."""
    if len(path.frame) < 2:
        return path.frame, path.time_s, path.points, path.confidence
    steps = np.diff(path.time_s)
    step_s = float(steps.min() if _whole(steps) else np.median(steps))
    count = round((path.time_s[-1] - path.time_s[0]) / step_s) + 1
    time_s = path.time_s[0] + np.arange(count) * step_s
    frame = np.round(np.interp(time_s, path.time_s, path.frame)).astype(int)
    if _whole(steps):
        at = np.round((path.time_s - path.time_s[0]) / step_s).astype(int)
        points = np.full((count, *path.points.shape[1:]), np.nan)
        confidence = np.zeros(points.shape[:2])
        points[at], confidence[at] = path.points, path.confidence
        return frame, time_s, points, confidence
    after = np.clip(np.searchsorted(path.time_s, time_s), 1, len(path.time_s) - 1)
    share = (time_s - path.time_s[after - 1]) / (path.time_s[after] - path.time_s[after - 1])
    weight = share[:, None, None]
    points = (1 - weight) * path.points[after - 1] + weight * path.points[after]
    confidence = np.minimum(path.confidence[after - 1], path.confidence[after])
    return frame, time_s, points, confidence


def _whole(steps: np.ndarray) -> bool:
    """Tell whether all steps are multiples of the shortest: frames that are left out."""
    times = steps / steps.min()
    return bool(np.abs(times - np.round(times)).max() <= _UNEVEN)
