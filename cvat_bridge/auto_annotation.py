"""Any pose model as an auto-annotation function of the CVAT SDK.

Such a function runs by ``cvat_sdk.auto_annotation.annotate_task``, by ``cvat-cli task
auto-annotate`` and, from within CVAT, by ``cvat-cli function run-agent``.
https://docs.cvat.ai/docs/api_sdk/sdk/auto-annotation/
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps

from cvat_bridge.poses import Pose
from cvat_bridge.shapes import to_shape
from cvat_bridge.skeleton import Skeleton, SkeletonLabel


def pose_function(
    skeleton: Skeleton,
    predict: Callable[[PIL.Image.Image], Iterable[Pose]],
    *,
    occluded_below: float | None = None,
) -> "PoseFunction":
    """Wrap a pose model for CVAT.

    Parameters
    ----------
    skeleton
        What the model finds. CVAT matches it to the task's label by name, each keypoint too.
    predict
        Takes an RGB picture as CVAT shows it and returns the persons on it, points in px.
    occluded_below
        A point whose confidence is lower is marked occluded. It keeps its place: the points that
        a model is unsure of are those that a reviewer corrects.

    Returns
    -------
    PoseFunction
        With the attributes ``spec`` and ``detect`` that the SDK asks for.

    Notes
    -----
    The threshold that a user sets in CVAT applies to `Pose.score`; poses without one pass.
    """
    return PoseFunction(skeleton, predict, occluded_below)


class PoseFunction:
    """A detection function as ``cvat_sdk.auto_annotation`` defines it; see `pose_function`."""

    def __init__(
        self,
        skeleton: Skeleton,
        predict: Callable[[PIL.Image.Image], Iterable[Pose]],
        occluded_below: float | None,
    ):
        self._predict = predict
        self._occluded_below = occluded_below
        # The function numbers its labels itself; the SDK replaces them by the task's own.
        self._label = SkeletonLabel(0, skeleton, tuple(range(len(skeleton.keypoints))))

    @cached_property
    def spec(self) -> Any:
        """The ``DetectionFunctionSpec``: one skeleton label."""
        from cvat_sdk import auto_annotation

        skeleton = self._label.skeleton
        keypoints = [
            auto_annotation.keypoint_spec(name, number)
            for name, number in zip(skeleton.keypoints, self._label.sublabel_ids, strict=True)
        ]
        label = auto_annotation.skeleton_label_spec(skeleton.name, self._label.id, keypoints)
        return auto_annotation.DetectionFunctionSpec(labels=[label])

    def detect(self, context: Any, image: PIL.Image.Image) -> list[Any]:
        """Find the persons on one picture.

        Parameters
        ----------
        context
            ``DetectionFunctionContext``; its ``conf_threshold`` is the lowest score kept.
        image
            The frame.

        Returns
        -------
        list
            A skeleton ``LabeledShapeRequest`` a person.
        """
        upright = PIL.ImageOps.exif_transpose(image).convert("RGB")
        lowest = context.conf_threshold or 0.0
        return [
            self._to_request(pose)
            for pose in self._predict(upright)
            if pose.score is None or pose.score >= lowest
        ]

    def _to_request(self, pose: Pose) -> Any:
        from cvat_sdk import auto_annotation

        shape = to_shape(self._with_occluded(pose), 0, self._label)
        elements = [
            auto_annotation.keypoint(
                element["label_id"],
                element["points"],
                occluded=element["occluded"],
                outside=element["outside"],
            )
            for element in shape["elements"]
        ]
        return auto_annotation.skeleton(
            shape["label_id"], elements, occluded=shape["occluded"], outside=shape["outside"]
        )

    def _with_occluded(self, pose: Pose) -> Pose:
        if self._occluded_below is None or pose.confidence is None:
            return pose
        unsure = (pose.confidence < self._occluded_below) & (pose.visibility > 0)
        return replace(pose, visibility=np.where(unsure, 1, pose.visibility))
