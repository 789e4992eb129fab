"""Pictures as a viewer shows them: turned as their EXIF data say, whatever the format."""

from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from PIL import Image, ImageOps

from fiftyone_legpose.dataset.frames import is_video, sample_values

_ORIENTATION = 0x0112

UNREADABLE = (OSError, SyntaxError, ValueError, ImportError, Image.DecompressionBombError)
"""What Pillow raises on files that are no picture: SyntaxError on a broken PNG, ImportError where
ultralytics, once loaded, has it look for a HEIF reader."""


def orientation(image: Image.Image) -> int:
    """Tell how an opened picture lies: 1 upright, 5 to 8 on its side, as EXIF numbers it.

    Only what browsers and decoders heed counts: the orientation in XMP data, or in a text that
    ImageMagick writes into a PNG, does not.
    """
    if image.format == "TIFF":
        return int(image.tag_v2.get(_ORIENTATION, 1))  # type: ignore[attr-defined]
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return int(exif.get(_ORIENTATION, 1))
    except (ValueError, TypeError, SyntaxError, OSError):
        return 1  # damaged EXIF data; the picture itself may be well


def read_turned(path: str | Path) -> np.ndarray | None:
    """Read a picture of shape (H, W, 3), RGB, that OpenCV is not sure to turn; None if it is.

    Which formats it turns differs from version to version; JPEG always, TIFF it cannot read.
    """
    try:
        with Image.open(path) as image:
            if image.format in ("JPEG", "MPO") or orientation(image) == 1:
                return None
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except UNREADABLE:
        return None  # what is no picture is told by whoever reads it next


def shown_size(path: str | Path) -> tuple[int, int]:
    """Read the width and height in px that a picture is shown with, from its head.

    Raises
    ------
    OSError
        It is no picture that can be read.
    """
    with Image.open(path) as image:
        width, height = image.size
        # Of a TIFF Pillow itself gives the size as it is shown.
        lies = image.format != "TIFF" and orientation(image) >= 5
    return (height, width) if lies else (width, height)


def image_metadata(path: str | Path) -> fo.ImageMetadata:
    """Build the metadata of a picture.

    FiftyOne gives the size as it is shown for JPEG alone; of any other format that lies on its
    side, points in px would be stretched.
    """
    metadata = fo.ImageMetadata.build_for(str(path))
    metadata.width, metadata.height = shown_size(path)
    return metadata


def know_sizes(view: Any) -> None:
    """Compute the metadata of the videos or pictures of a collection that have none."""
    names = ("frame_width", "frame_height", "frame_rate") if is_video(view) else ("width", "height")
    rows = zip(*sample_values(view, "id", *(f"metadata.{name}" for name in names)), strict=True)
    missing = [sample_id for sample_id, *told in rows if None in told]
    if not missing:
        return
    view.select(missing).compute_metadata(progress=False)
    if is_video(view):
        return
    known = {}
    for sample_id, path in zip(*view.select(missing).values(["id", "filepath"]), strict=True):
        try:
            known[sample_id] = shown_size(path)
        except UNREADABLE:
            continue
    write_sizes(view, known)


def write_sizes(view: Any, sizes: dict[str, tuple[int, int]]) -> None:
    """Correct the width and height in px of pictures, by sample id."""
    for place, name in enumerate(("width", "height") if sizes else ()):
        values = {sample_id: size[place] for sample_id, size in sizes.items()}
        view.set_values(f"metadata.{name}", values, key_field="id")
