"""What a reviewer is told in CVAT, and which points the model was unsure of."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np

from cvat_bridge.frames import Frame
from cvat_bridge.poses import Pose
from fiftyone_legpose import legs

GUIDE = """\
# Correct the keypoints of the legs

A model has drawn these skeletons. Drag each point that is not on its joint, and look at all of
them: the model is unsure of some, and those are drawn like the others.

- Left and right are the person's own.
- *Occluded*: you cannot see the joint, because something hides it, but know where it is.
- *Outside*: the joint is cut off by the edge of the picture.
- Delete a skeleton that is on nobody, and draw one on whoever has none.
- When the job is done, set its state to *completed*.
"""
"""For whoever opens a job, in Markdown."""


def is_unsure(pose: Pose) -> np.ndarray:
    """Tell which points of a pose (K,) were placed with a confidence under `OCCLUDED_BELOW`."""
    if pose.confidence is None:
        return np.zeros(len(pose.points), bool)
    return (pose.visibility > 0) & (pose.confidence < legs.OCCLUDED_BELOW)


def as_shown(pose: Pose) -> Pose:
    """Give a predicted pose as a reviewer sees it: what the model is unsure of is not occluded.

    A reviewer who is shown half of the points as occluded leaves them so, corrected or not, and
    nobody knows then which joints were hidden.
    """
    return replace(pose, visibility=np.where(is_unsure(pose), 2, pose.visibility))


def guide_for(frames: Iterable[Frame], keypoints: Sequence[str]) -> str:
    """Write the guide of a task, with the points of its frames that the model was unsure of.

    Parameters
    ----------
    frames
        Of the task, in order.
    keypoints
        Names, in the order of the points.
    """
    lines = []
    for frame in frames:
        people = [compress(keypoints, is_unsure(pose)) for pose in frame.poses]
        told = [", ".join(names).replace("_", " ") for names in people]
        if any(told):
            lines.append(f"- {frame.name}: {'; '.join(each for each in told if each)}")
    if not lines:
        return GUIDE
    return "\n".join([GUIDE, "The model was unsure of these points:", "", *lines, ""])
