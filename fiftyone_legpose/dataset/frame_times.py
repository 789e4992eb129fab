"""When each frame of a video was taken: written by load, read by whatever counts seconds."""

from collections.abc import Mapping
from typing import Any

import fiftyone as fo
import numpy as np

from fiftyone_legpose.dataset.fields import TIME_S
from fiftyone_legpose.dataset.frames import frame_documents, raw, write_all_frames


def write_times(dataset: fo.Dataset, times_s: Mapping[str, np.ndarray]) -> None:
    """Keep the times of all frames of some videos.

    Parameters
    ----------
    dataset
        Video dataset whose frames are there.
    times_s
        Shape (F,) each, by sample id: seconds from the first frame to each one. Empty where a file
        does not tell them.
    """
    description = "Seconds from the first frame, by the clock of the file that was loaded"
    dataset.add_frame_field(TIME_S, fo.FloatField, description=description)
    for sample_id, times in times_s.items():
        write_all_frames(dataset, sample_id, TIME_S, times.tolist())


def without_times(dataset: fo.Dataset) -> list[str]:
    """List the ids of the videos of whose frames nobody knows when they were taken."""
    timed = {"frame_number": 1, TIME_S: {"$ne": None}}
    known = {str(i) for i in raw(dataset).distinct("_sample_id", timed)}
    return [sample_id for sample_id in dataset.values("id") if sample_id not in known]


def frame_times(
    number: np.ndarray, stored_s: np.ndarray, sample: np.ndarray, rates: np.ndarray
) -> np.ndarray:
    """Tell when frames were taken: the only place that knows.

    Parameters
    ----------
    number
        Shape (F,): frame numbers from 1.
    stored_s
        Shape (F,): what the field `fields.TIME_S` holds, NaN where nothing.
    sample
        Shape (F,): index of each frame's video.
    rates
        Shape (S,): frames per second of each video, NaN for images.

    Returns
    -------
    np.ndarray
        Shape (F,): seconds from the first frame of the video, NaN for images. A video one of whose
        frames has no time, or none that is later than that of the frame before, is counted at its
        rate, as all were once.
    """
    falls = (np.diff(stored_s) <= 0) & (np.diff(sample) == 0)
    untold = np.unique(sample[np.isnan(stored_s) | np.append(falls, False)[: len(sample)]])
    return np.where(np.isin(sample, untold), (number - 1) / rates[sample], stored_s)


def video_times(video: Any) -> dict[int, float]:
    """Tell when the frames of one video were taken, in s from its first, by their numbers."""
    rows = {doc["frame_number"]: read_time(doc) for _, doc in frame_documents(video, [TIME_S])}
    number = np.array(list(rows), int)
    rates = np.array([video.first().metadata.frame_rate], float)
    times_s = frame_times(number, np.array(list(rows.values())), np.zeros(len(rows), int), rates)
    return dict(zip(rows, times_s.tolist(), strict=True))


def frame_of_still(times_s: np.ndarray, still: int, fps: float) -> int | None:
    """Tell which frame of a video a still shows that was taken at a steady rate.

    Parameters
    ----------
    times_s
        Shape (F,): seconds from the first frame to each one, rising.
    still
        Number of the still, from 1.
    fps
        Stills per second, fewer than the video has frames.

    Returns
    -------
    int or None
        Number of the frame, from 1: the last one whose time, rounded to stills, is the still's or
        before, as ffmpeg's filter ``fps`` has it. None behind the last still of the video.
    """
    place = np.floor(np.round(times_s * fps, 6) + 0.5)
    last_s = times_s[-1] + (np.median(np.diff(times_s)) if len(times_s) > 1 else 0)
    if still - 1 > last_s * fps:
        return None
    return int(np.searchsorted(place, still - 1, side="right"))


def read_time(document: Mapping[str, Any]) -> float:
    """Read the time of a frame from its document; NaN where it has none."""
    time_s = document.get(TIME_S)
    return float(time_s) if isinstance(time_s, int | float) else np.nan
