"""Poses ⇄ the lines of YOLO pose label files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.errors import FormatError
from cvat_bridge.poses import Pose

# Pictures are at most some 10,000 px wide; this bounds what a broken or hostile line can do.
_FARTHEST_SHARE = 1e6

# 0.0002 px on a picture 4,000 px wide; CVAT accepts 7 to 16 digits and writes 6 itself.
_DECIMALS = 7

# ultralytics drops a whole picture, without stopping, if one value is below -0.01 or above 1.01
# (verify_image_label in ultralytics/data/utils.py); this stays clear of its float32 rounding.
_TRAINABLE = (-0.0099, 1.0099)

_SMALLEST_BOX_PX = 4.0


@dataclass(frozen=True)
class Line:
    """One person as a label file says it, in shares of the picture."""

    class_id: int
    box: NDArray[np.float64]
    """(4,): x1, y1, x2, y2."""
    points: NDArray[np.float64]
    visibility: NDArray[np.int64]
    track_id: int | None

    def to_pose(self, size: tuple[int, int]) -> Pose:
        """Scale to a picture of this width and height in px."""
        return Pose(self.points * size, self.visibility, track_id=self.track_id)


def parse_line(
    text: str, *, class_count: int, keypoint_count: int, has_visibility: bool, where: str
) -> Line:
    """Read one line, checking every number.

    Parameters
    ----------
    text
        ``class cx cy w h``, then ``x y v`` or ``x y`` for each keypoint, then perhaps a track id.
    class_count, keypoint_count, has_visibility
        From data.yaml.
    where
        File and line number, for errors.

    Raises
    ------
    FormatError
        Naming `where`.
    """
    columns = 3 if has_visibility else 2
    fields = text.split()
    expected = 5 + keypoint_count * columns
    if len(fields) not in (expected, expected + 1):
        raise FormatError(
            f"{where}: {len(fields)} numbers, but kpt_shape [{keypoint_count}, {columns}] asks "
            f"for {expected} (class, box, keypoints)."
        )
    try:
        numbers = np.array(fields, float)
    except ValueError:
        raise FormatError(f"{where}: not all of it is numbers: {text.strip()[:80]!r}.") from None
    wrong = np.flatnonzero(~(np.abs(numbers) <= _FARTHEST_SHARE))
    if len(wrong):
        raise FormatError(f"{where}: {fields[wrong[0]]} is not a position in a picture.")
    if numbers[0] not in range(class_count):
        raise FormatError(
            f"{where}: class {fields[0]} has no name in data.yaml, which ends at {class_count - 1}."
        )
    track = numbers[expected] if len(fields) > expected else None
    if track is not None and (track < 0 or track % 1):
        raise FormatError(f"{where}: the number after the keypoints, {track:g}, is no track id.")
    points, visibility = _read_keypoints(numbers[5:expected].reshape(-1, columns), where)
    x, y, width, height = numbers[1:5]
    return Line(
        class_id=int(numbers[0]),
        box=np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2]),
        points=points,
        visibility=visibility,
        track_id=None if track is None else int(track),
    )


def format_for_cvat(class_id: int, pose: Pose, size: tuple[float, float]) -> str:
    """Write a pose as CVAT's own export does: all points where they are, the box tight."""
    points = pose.points / size
    box = _tight_box(points, pose.visibility)
    return _format(class_id, box, points, pose.visibility)


def format_for_training(
    class_id: int,
    pose: Pose,
    size: tuple[float, float],
    *,
    box: NDArray[np.float64] | None = None,
    box_margin: float = 0.0,
) -> tuple[str | None, int]:
    """Write a pose so that ultralytics accepts the picture.

    Parameters
    ----------
    box
        (4,): x1, y1, x2, y2 in the unit of `pose`; None takes the tight box.
    box_margin
        Added on each side of a tight box, as a share of its longer side.

    Returns
    -------
    line : str or None
        None if no point of the pose lies in the picture, so that there is nothing to learn.
    cut_off : int
        Points with v > 0 outside of the picture, written as absent: ultralytics would drop the
        whole picture for one of them.
    """
    points = pose.points / size
    low, high = _TRAINABLE
    inside = ((points >= low) & (points <= high)).all(axis=1)
    visibility = np.where(inside, pose.visibility, 0)
    cut_off = int((pose.visibility > 0).sum() - (visibility > 0).sum())
    if not visibility.any():
        return None, cut_off
    points = np.where((visibility > 0)[:, None], points, 0.0)
    if box is None:
        tight = _tight_box(points, visibility) * (*size, *size)
        margin = box_margin * max(tight[2] - tight[0], tight[3] - tight[1])
        box = tight + np.array([-margin, -margin, margin, margin])
    return _format(class_id, _within_picture(box, size), points, visibility), cut_off


def _read_keypoints(
    values: NDArray[np.float64], where: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    points = values[:, :2].copy()
    at_zero = (points == 0).all(axis=1)
    stated = values[:, 2] if values.shape[1] == 3 else np.where(at_zero, 0, 2)
    known = np.isin(stated, (0, 1, 2))
    if not known.all():
        raise FormatError(
            f"{where}: visibility {stated[~known][0]:g} of keypoint {np.flatnonzero(~known)[0]}; "
            "it must be 0 (absent), 1 (occluded) or 2 (visible)."
        )
    visibility = stated.astype(np.int64)
    points[at_zero & (visibility == 0)] = np.nan
    return points, visibility


def _tight_box(points: NDArray[np.float64], visibility: NDArray[np.int64]) -> NDArray[np.float64]:
    seen = points[visibility > 0]
    return np.concatenate([seen.min(axis=0), seen.max(axis=0)]) if len(seen) else np.zeros(4)


def _within_picture(box: NDArray[np.float64], size: tuple[float, float]) -> NDArray[np.float64]:
    """Clip a box to the picture, as shares of it, and widen one that is thinner than a point."""
    corners = np.clip(np.reshape(box, (2, 2)) / size, 0.0, 1.0)
    # Where the size is not known the unit is the picture itself: take a common width.
    smallest = _SMALLEST_BOX_PX / np.where(np.asarray(size) > 1, size, 640.0)
    thin = corners[1] - corners[0] < smallest
    start = np.clip(corners.mean(axis=0) - smallest / 2, 0.0, 1.0 - smallest)
    return np.where(thin, [start, start + smallest], corners).reshape(4)


def _format(
    class_id: int,
    box: NDArray[np.float64],
    points: NDArray[np.float64],
    visibility: Sequence[int] | NDArray[np.int64],
) -> str:
    x1, y1, x2, y2 = box
    numbers = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
    fields = [str(class_id), *(f"{number:.{_DECIMALS}f}" for number in numbers)]
    for (x, y), seen in zip(points.tolist(), visibility, strict=True):
        if seen == 0 and not (np.isfinite(x) and np.isfinite(y)):
            fields += ["0.0", "0.0", "0"]
        else:
            fields += [f"{x:.{_DECIMALS}f}", f"{y:.{_DECIMALS}f}", str(int(seen))]
    return " ".join(fields) + "\n"


def without_padding(line: Line, keypoint_count: int | None, where: str) -> Line:
    """Drop the keypoints behind those of the skeleton, which CVAT fills up with zeros."""
    if keypoint_count is None:
        return line
    count = len(line.points)
    if count < keypoint_count or line.visibility[keypoint_count:].any():
        raise FormatError(
            f"{where}: {count} keypoints, but {keypoint_count} were asked for. Is this the right "
            "skeleton?"
        )
    return replace(
        line, points=line.points[:keypoint_count], visibility=line.visibility[:keypoint_count]
    )
