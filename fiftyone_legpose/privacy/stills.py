"""Look at stills before they leave, and hide what they should not show."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import cv2
import numpy as np

from cvat_bridge.poses import Pose
from fiftyone_legpose.errors import DatasetError, LegposeError
from fiftyone_legpose.privacy.faces import find_faces
from fiftyone_legpose.privacy.gate import Reason, Verdict, blacken, judge
from fiftyone_legpose.privacy.modes import Mode

_THUMBNAIL_PX = 160
_NAMED = 5
_NOTHING = Verdict((), np.zeros((0, 4), int))


@dataclass(frozen=True)
class Policy:
    """What may leave, for one hand-over.

    Raises
    ------
    DatasetError
        There is no such mode, or no such share of a picture.
    """

    mode: Mode = "refuse"
    crop_below: float = 0.0
    """Share of a picture's height, from its top, that is black in whatever leaves."""

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise DatasetError(
                f"There is no privacy mode {self.mode!r}: take one of {', '.join(get_args(Mode))}."
            )
        if not 0 <= self.crop_below < 1:
            raise DatasetError(
                f"crop_below is {self.crop_below}: give the share of the picture's height that is "
                "black at the top, from 0 to less than 1."
            )


@dataclass(frozen=True)
class CheckedStill:
    """A still as it may leave."""

    picture: np.ndarray
    """Shape (H, W, 3), BGR; the original itself where nothing was hidden."""
    verdict: Verdict
    blackened: bool
    """Whether faces or upper bodies were hidden."""


@dataclass(frozen=True)
class RefusedStill:
    """A still that stays in the house."""

    where: str
    """File and frame, in words."""
    reasons: tuple[Reason, ...]
    thumbnail: bytes = field(repr=False, default=b"")
    """A small JPEG with red lines around what should be hidden."""


class PrivacyError(LegposeError):
    """Stills show more than legs, so nothing was sent.

    Parameters
    ----------
    refused
        The stills, in the order of the hand-over.
    checked
        Stills that were looked at.
    """

    def __init__(self, refused: Sequence[RefusedStill], checked: int):
        self.refused = list(refused)
        self.checked = checked
        named = [f"{still.where} ({' and '.join(still.reasons)})" for still in refused[:_NAMED]]
        if len(refused) > _NAMED:
            named.append(f"{len(refused) - _NAMED} more")
        super().__init__(
            f"{len(refused)} of {checked} stills show more than legs, so nothing was sent: "
            f"{', '.join(named)}. Leave them out, or take the privacy mode 'blacken', which burns "
            "faces and upper bodies black in the copy that leaves; 'off' sends all as it is."
        )


def check_still(
    picture: np.ndarray,
    people: Sequence[Pose],
    policy: Policy,
    masks: np.ndarray | None = None,
) -> CheckedStill:
    """Look at a still before it leaves, and hide what the policy says.

    Parameters
    ----------
    picture
        Shape (H, W, 3) of uint8, BGR, upright; it stays as it is.
    people
        Whom the pose model found, with the ten keypoints of `legs`.
    policy
        What may leave.
    masks
        Shape (N, 4): x1, y1, x2, y2 as shares of the picture, which are black in any mode.

    Returns
    -------
    CheckedStill
    """
    height, width = picture.shape[:2]
    top_px = round(policy.crop_below * height)
    always = np.zeros((0, 4)) if masks is None else masks * [width, height, width, height]
    always = np.vstack([always, [[0, 0, width, top_px]]] if top_px else [always])
    regions = np.hstack([np.floor(always[:, :2]), np.ceil(always[:, 2:])]).astype(int)
    shown = blacken(picture, np.maximum(regions, 0)) if len(regions) else picture
    if policy.mode == "off":
        return CheckedStill(shown, _NOTHING, blackened=False)
    verdict = judge((width, height), people, find_faces(shown), top_px=top_px)
    if policy.mode == "refuse" or not len(verdict.hidden):
        return CheckedStill(shown, verdict, blackened=False)
    return CheckedStill(blacken(shown, verdict.hidden), verdict, blackened=True)


def refused_still(still: CheckedStill, where: str) -> RefusedStill:
    """Picture a still that stays in the house, small, with red lines around what it shows."""
    scale = _THUMBNAIL_PX / still.picture.shape[0]
    small = cv2.resize(still.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for x1, y1, x2, y2 in (still.verdict.hidden * scale).astype(int).tolist():
        cv2.rectangle(small, (x1, y1), (x2 - 1, y2 - 1), (0, 0, 255), 1)
    jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    return RefusedStill(where, still.verdict.reasons, jpeg)
