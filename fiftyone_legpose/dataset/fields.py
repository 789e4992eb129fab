"""Names of the dataset fields and review states that more than one module reads or writes."""

from typing import Final

PREDICTIONS: Final = "legpose"
"""Frame (or image) field of predicted `fo.Keypoints`."""

BOXES_SUFFIX: Final = "_boxes"
"""The boxes of the predictions in field `x` are in field `x_boxes`."""

BOXES: Final = PREDICTIONS + BOXES_SUFFIX
"""Frame (or image) field of predicted `fo.Detections`, linked to the keypoints by `fo.Instance`."""

SMOOTH: Final = "legpose_smooth"
"""Frame field of clean paths as `fo.Keypoints`; only smooth writes it."""

EVENTS: Final = "legpose_gait_events"
"""Field of a video's stance and swing phases as `fo.TemporalDetections`; gait writes it, and a
person may edit it."""

GAIT: Final = "legpose_gait"
"""Field of a video with the parameters of its gait, for the sidebar."""

GAIT_DETAILS: Final = "legpose_gait_details"
"""Field of a video with all that gait found, as a dictionary; see `gait_analysis.record`."""

REVIEW: Final = "legpose_review"
"""Frame (or image) field with the review score, its reasons and the state below."""

GROUND_TRUTH: Final = "ground_truth"
"""Frame (or image) field of corrected `fo.Keypoints`; only pull and import_labels write it."""

SUBJECT: Final = "subject"
"""Sample field with the person filmed; training never has one subject on both sides of a split."""

SELECTED: Final = "selected"
"""Review state: chosen by select, not yet sent."""

OUT: Final = "out"
"""Review state: sent to a reviewer by push."""

CORRECTED: Final = "corrected"
"""Review state: brought back by pull with at least one person."""

EMPTY: Final = "empty"
"""Review state: brought back by pull, confirmed to show nobody."""

SOURCE = "source"
"""Sample field with the path that the user gave; `filepath` may be a playable copy of it."""

SOURCE_BYTES = "source_bytes"
"""Sample field with the size of the source when it was loaded."""

SOURCE_FRAMES: Final = "source_frames"
"""Sample field with the frames of the source that a player shows, whether or not they can be
decoded; `metadata.total_frame_count` is that of the file at `filepath`."""

TIME_S: Final = "time_s"
"""Frame field with the seconds from the video's first frame to this one, by the source's own clock.

Datasets loaded before it was kept lack it; `pose_table.frame_times` then counts frames."""

VIDEO = "video"
"""Sample field of stills with the name of the video that they were taken from."""

MASK: Final = "privacy_mask"
"""Frame (or image) field of `fo.Detections`: rectangles that are black in all that leaves."""

STILLS_PER_S = 30.0
"""Stills per second of video that `extract_frames` takes if nobody says how many."""

SHOWN_PREFIX = "legpose_out_"
"""The field ``legpose_out_<key>`` holds what the run shows to the reviewer."""


def is_field_name(name: str) -> bool:
    """Tell whether a bare name can name a field, and the runs that are named after it."""
    return name.isidentifier() and not name.startswith("_")


def error_field(field: str) -> str:
    """Name the frame field with the errors of a prediction field; see `frame_errors`."""
    return f"{field}_error"
