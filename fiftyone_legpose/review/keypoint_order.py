"""Which keypoint of labels made elsewhere is which of ours."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import fiftyone as fo
import numpy as np

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.review.label_sources import Labels

KeypointOrder = Literal["left_first", "right_first"] | Sequence[str]

_ORDERS = {
    "left_first": legs.KEYPOINTS,
    "right_first": tuple(legs.KEYPOINTS[i] for i in legs.RIGHT_FIRST),
}
_NEEDED = tuple(name for name in legs.KEYPOINTS if name.split("_")[1] in ("hip", "knee", "ankle"))
_TOES = ("foot", "toe", "toes", "bigtoe", "big_toe", "foot_index", "toe_tip", "foot_tip")
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}


def target_names(dataset: fo.Dataset | None) -> tuple[str, ...]:
    """Name the keypoints of a dataset's ground truth, those of the legs where it has none."""
    known = None if dataset is None else dataset.skeletons.get(fields.GROUND_TRUTH)
    return tuple(known.labels) if known is not None and known.labels else legs.KEYPOINTS


def keypoint_order_of(
    labels: Labels, target: tuple[str, ...], stated: KeypointOrder | None
) -> list[int | None]:
    """Tell which of the source's keypoints is each of ours, None for one that it does not have.

    Of the legs, heels and feet may be absent; other keypoints of the source are left out then.

    Raises
    ------
    DatasetError
        The order is not known, or the keypoints are others.
    """
    names: Sequence[str] | None = labels.keypoint_names
    if isinstance(stated, str):
        if stated not in _ORDERS:
            raise DatasetError(
                f"keypoint_order is {' or '.join(_ORDERS)} or a list of names, not {stated!r}."
            )
        names = _ORDERS[stated]
    elif stated is not None:
        names = stated
    if names is None:
        raise DatasetError(
            f"{labels.origin} does not say which keypoint comes first: state the order "
            f"(keypoint_order), {' or '.join(_ORDERS)}. Look at one labelled picture to tell."
        )
    plain = [_plain(name) for name in names]
    if len(plain) == labels.keypoint_count:
        if sorted(plain) == sorted(map(_plain, target)):
            return [plain.index(_plain(name)) for name in target]
        joints = [_leg_joint(name) for name in names]
        if target == legs.KEYPOINTS and all(joints.count(name) == 1 for name in _NEEDED):
            return [joints.index(n) if joints.count(n) == 1 else None for n in target]
    raise DatasetError(
        f"{labels.origin} has {labels.keypoint_count} keypoints named {', '.join(names)}; this "
        f"dataset has {', '.join(target)}: state the names in the source's order "
        "(keypoint_order)."
    )


def reordered(pose: Pose, order: Sequence[int | None], scale: tuple[int, int]) -> Pose:
    """Give a pose with our keypoints, its points times `scale`; those that it lacks are absent."""
    index = np.array([len(pose.points) if i is None else i for i in order])
    points = np.vstack([pose.points * np.array(scale, float), [(np.nan, np.nan)]])
    return replace(
        pose,
        points=points[index],
        visibility=np.append(pose.visibility, 0)[index],
        confidence=None,
        score=None,
    )


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _leg_joint(name: str) -> str | None:
    """Name a keypoint as we do, also ``LHip``, ``knee_r`` or ``right_big_toe``."""
    words = _plain(re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=^[LR])(?=[A-Z])", "_", name)).split("_")
    sides = [word for word in words if word in _SIDES]
    joint = "_".join(word for word in words if word not in _SIDES)
    if len(sides) != 1:
        return None
    return f"{_SIDES[sides[0]]}_{'foot' if joint in _TOES else joint}"
