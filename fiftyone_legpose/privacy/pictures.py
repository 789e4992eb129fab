"""Copies of pictures as files that tell nothing but what they show."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image

from cvat_bridge.poses import Pose
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.privacy.stills import CheckedStill, Policy, check_still

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]
_SETTINGS = {".jpg": _JPEG, ".jpeg": _JPEG, ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101]}
# JFIF says how dense pixels are, Adobe how colours are stored; every other segment may hold names,
# places, serial numbers or a thumbnail of what was burnt black.
_HARMLESS_SEGMENTS = {"APP0", "APP14"}


def copy_picture(
    source: Path,
    target: Path,
    policy: Policy,
    people: Sequence[Pose] = (),
    masks: np.ndarray | None = None,
) -> CheckedStill:
    """Copy a picture without its metadata, and without what the policy hides.

    Parameters
    ----------
    source
        A picture; it stays as it is.
    target
        The copy, of the same suffix; whole or not there, and replaced where it is there.
    policy, people, masks
        As for `check_still`.

    Returns
    -------
    CheckedStill
        Where the policy refuses it, there is no copy.

    Raises
    ------
    DatasetError
        The picture cannot be read or written.

    Notes
    -----
    A JPEG of which nothing has to be taken keeps its bytes. Others are encoded anew, upright:
    JPEG at quality 95, the rest without loss.
    """
    picture = cv2.imread(str(source), cv2.IMREAD_COLOR)
    if picture is None:
        raise DatasetError(f"{source} cannot be read as a picture: leave it out, or mend it.")
    still = check_still(picture, people, policy, masks)
    if policy.mode == "refuse" and still.verdict.reasons:
        return still
    with TemporaryDirectory(dir=target.parent) as scratch:
        part = Path(scratch) / f"part{target.suffix}"
        if still.picture is picture and _is_bare_jpeg(source):
            shutil.copyfile(source, part)
        else:
            settings = _SETTINGS.get(target.suffix.lower(), [])
            if not cv2.imwrite(str(part), still.picture, settings):
                raise DatasetError(f"{target} cannot be written.")
        os.replace(part, target)
    return still


def _is_bare_jpeg(path: Path) -> bool:
    """Tell whether a picture is a JPEG that holds nothing but the picture."""
    with Image.open(path) as image:
        segments = {name for name, _ in getattr(image, "applist", [])}
        return image.format == "JPEG" and segments <= _HARMLESS_SEGMENTS
