"""Pictures on their way to CVAT: neutral names, checked sizes, uploads that fit into memory."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from cvat_bridge.errors import PayloadError
from cvat_bridge.poses import Pose
from cvat_bridge.shapes import fits_track, to_shape, to_track
from cvat_bridge.skeleton import SkeletonLabel

UPLOAD_BYTES = 16 * 2**20
"""Size of one upload request: some hundred frames, and a few copies of it fit into any memory."""

_NEUTRAL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}


@dataclass(frozen=True)
class Frame:
    """One picture and what is drawn on it.

    Parameters
    ----------
    image
        The encoded picture (JPEG, PNG, BMP, WebP, TIFF): its bytes, its path, or a function that
        returns its bytes. Paths and functions are read when they are uploaded, so thousands of
        frames need not fit into memory.
    width, height
        In pixels, upright as CVAT shows it.
    poses
        The people on it, as the reviewer shall see them; may be empty.
    name
        Name in CVAT without a suffix: letters, digits, ``_`` and ``-``; None numbers the frame
        (``frame_000000``). File names of the clinic do not belong here.
    """

    image: bytes | Path | Callable[[], bytes]
    width: int
    height: int
    poses: Sequence[Pose] = ()
    name: str | None = None

    def read(self) -> bytes:
        """Return the encoded picture."""
        if isinstance(self.image, bytes | bytearray | memoryview):
            return bytes(self.image)
        if callable(self.image):
            return self.image()
        return Path(self.image).read_bytes()


def number_frames(frames: Iterable[Frame], *, start: int = 0) -> list[Frame]:
    """Name every frame that has no name by its number from `start`, and check the names.

    Raises
    ------
    PayloadError
        If there is no frame, a size is not positive, a name is not neutral or is used twice
        (CVAT answers 500 to that and leaves an empty task behind).
    """
    named = [
        replace(frame, name=frame.name or f"frame_{number:06d}")
        for number, frame in enumerate(frames, start=start)
    ]
    if not named:
        raise PayloadError("There are no frames to send; CVAT makes no task without pictures.")
    seen: dict[str, int] = {}
    for number, frame in enumerate(named):
        name = str(frame.name)
        if not _NEUTRAL_NAME.fullmatch(name):
            raise PayloadError(
                f"Frame {number}: the name {name!r} is not neutral; use up to 64 letters, digits, "
                "_ and -, without a suffix."
            )
        if name.lower() in seen:
            raise PayloadError(
                f"Frame {number}: the name {name!r} is that of frame {seen[name.lower()]} too; "
                "names must differ."
            )
        seen[name.lower()] = number
        if frame.width <= 0 or frame.height <= 0:
            raise PayloadError(
                f"Frame {number}: its size is {frame.width} x {frame.height}; give pixels."
            )
    return named


def upload_groups(
    frames: Iterable[Frame], *, limit_bytes: int = UPLOAD_BYTES
) -> Iterator[list[tuple[str, bytes]]]:
    """Read frames one after the other into groups of (file name, bytes) of one request each.

    Raises
    ------
    PayloadError
        If a picture is missing, no picture, or of another size than its frame says.
    """
    group: list[tuple[str, bytes]] = []
    size = 0
    for number, frame in enumerate(frames):
        data = _read(frame, number)
        if group and size + len(data) > limit_bytes:
            yield group
            group, size = [], 0
        group.append((f"{frame.name}{_suffix(data, frame, number)}", data))
        size += len(data)
    if group:
        yield group


def _read(frame: Frame, number: int) -> bytes:
    try:
        return frame.read()
    except OSError as error:
        raise PayloadError(
            f"Frame {number}: its picture cannot be read ({error.strerror or error})."
        ) from None


def _suffix(data: bytes, frame: Frame, number: int) -> str:
    import PIL.Image

    try:
        with PIL.Image.open(BytesIO(data)) as picture:
            kind, size, orientation = picture.format, picture.size, picture.getexif().get(0x0112, 1)
    # Where ultralytics is loaded, it has PIL look for pi-heif before it gives a file up.
    except (OSError, ValueError, ImportError, PIL.Image.DecompressionBombError):
        raise PayloadError(f"Frame {number}: its {len(data)} bytes are no picture.") from None
    if kind not in _SUFFIXES:
        raise PayloadError(f"Frame {number}: {kind} pictures are not sent; make it JPEG or PNG.")
    # CVAT turns pictures by their EXIF orientation; 5 to 8 lie on their side.
    shown = size[::-1] if orientation >= 5 else size
    if shown != (frame.width, frame.height):
        raise PayloadError(
            f"Frame {number}: the picture is {shown[0]} x {shown[1]}, but its poses are meant for "
            f"{frame.width} x {frame.height}."
        )
    return _SUFFIXES[kind]


def to_shapes_and_tracks(
    frames: Sequence[Frame], numbers: range, label: SkeletonLabel, *, as_tracks: bool
) -> dict[str, list[dict[str, Any]]]:
    """Turn the poses of some of a task's frames into shapes and tracks.

    Parameters
    ----------
    frames
        All of the task.
    numbers
        Which of them, from 0; a track ends with the last one.
    label
        As the server knows it.
    as_tracks
        Make one track of the poses of one ``track_id``; poses without, and those that no track
        can hold (`fits_track`), become shapes.

    Raises
    ------
    PayloadError
        Two poses of a frame have one track number, or something may not be sent.
    """
    shapes: list[dict[str, Any]] = []
    tracks: dict[int, dict[int, Pose]] = {}
    for number in numbers:
        here: set[int] = set()
        for pose in frames[number].poses:
            if as_tracks and pose.track_id is not None:
                if pose.track_id in here:
                    raise PayloadError(
                        f"Frame {number}: two poses have the track number {pose.track_id}; one "
                        "person is on a frame once."
                    )
                here.add(pose.track_id)
                if fits_track(pose):
                    tracks.setdefault(pose.track_id, {})[number] = pose
                    continue
            shapes.append(to_shape(pose, number, label))
    made = [to_track(poses, label, frame_count=numbers.stop) for _, poses in sorted(tracks.items())]
    return {"shapes": shapes, "tracks": made}
