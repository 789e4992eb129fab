"""Videos and pictures with the skeletons drawn in."""

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import numpy as np

from cvat_bridge.names import plain_name
from fiftyone_legpose import errors
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.dataset.file_names import file_names
from fiftyone_legpose.files import writing
from fiftyone_legpose.pose.drawing import draw_poses
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.videos import decoding
from fiftyone_legpose.videos.ffmpeg import (
    EVEN_SIDES,
    h264_options,
    refused_write,
    require_tool,
    tool_reason,
)

logger = logging.getLogger(__name__)


def write_annotated_videos(
    view: Any,
    folder: str | Path,
    *,
    label_field: str = fields.PREDICTIONS,
    progress: Report | bool | None = None,
) -> list[Path]:
    """Write each video of a view with its skeletons as H.264, which browsers play.

    Parameters
    ----------
    view
        Video collection.
    folder
        Where ``<video>_legpose.mp4`` go; existing ones are replaced.
    label_field
        Bare name of the keypoint field to draw.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    list of Path
        One a video that could be decoded; for another there is a warning.

    Raises
    ------
    DatasetError
        The system refuses a file, or no video can be decoded.
    """
    target = Path(folder).expanduser()
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    failed: list[str] = []
    names = file_names(view)
    with reporting("save video", progress) as report:
        for number, sample in enumerate(view.select_fields(f"frames.{label_field}")):
            source = Path(sample.filepath)
            name = Path(names[number]).stem
            report(number, len(view), name)
            output = _free_name(target, name, written)
            size = (sample.metadata.frame_width, sample.metadata.frame_height)
            found = {
                n: keypoint_labels.to_poses(frame[label_field], size)
                for n, frame in sample.frames.items()
            }
            try:
                with writing(output):
                    _write_video(source, output, found, sample.metadata)
            except errors.UnreadableError as error:
                failed.append(f"{name}: {error}")
                logger.warning("No annotated video of %s", failed[-1])
                continue
            written.append(output)
        report(len(view), len(view), "done")
    if failed and not written:
        raise errors.DatasetError(f"no annotated video could be saved ({'; '.join(failed[:3])})")
    return written


def _free_name(folder: Path, stem: str, taken: list[Path]) -> Path:
    """Name an output by its video; a second video of the same name gets a number."""
    path = folder / f"{stem}_legpose.mp4"
    number = 2
    names = {plain_name(other.name) for other in taken}
    while plain_name(path.name) in names:
        path = folder / f"{stem}_legpose_{number}.mp4"
        number += 1
    return path


def _write_video(source: Path, output: Path, found: dict[int, list[Any]], metadata: Any) -> None:
    width, height = metadata.frame_width, metadata.frame_height
    with TemporaryDirectory(dir=output.parent) as scratch, TemporaryFile() as told:
        part = Path(scratch) / "part.mp4"
        require_tool("ffmpeg")
        encoder = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "bgr24"]
            + ["-s", f"{width}x{height}", "-r", str(metadata.frame_rate), "-i", "pipe:0"]
            + ["-vf", EVEN_SIDES, *h264_options(crf=20), str(part)],
            stdin=subprocess.PIPE,
            stderr=told,
        )
        assert encoder.stdin is not None
        try:
            # An encoder that gave up closes the pipe; its exit status is looked at below.
            with suppress(BrokenPipeError):
                for number, frame in _every_frame(source, metadata.total_frame_count):
                    encoder.stdin.write(draw_poses(frame, found.get(number, [])).tobytes())
        finally:
            with suppress(BrokenPipeError):
                encoder.stdin.close()
            encoder.wait()
        if encoder.returncode:
            told.seek(0)
            complaint = told.read().decode(errors="replace")
            refused = refused_write(complaint, encoder.returncode, output.parent)
            raise refused or errors.UnreadableError(
                f"ffmpeg could not write the annotated video: {tool_reason(complaint, source)}"
            )
        os.replace(part, output)


def _every_frame(source: Path, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a video; in the place of a frame that cannot be decoded comes the one before.

    Without it, what is drawn would come ever earlier than in the video.
    """
    last, picture = 0, None
    try:
        for number, decoded in decoding.read_frames(source, range(1, count + 1)):
            for missing in range(last + 1, number):
                yield missing, (decoded if picture is None else picture).copy()
            yield number, decoded.copy()
            last, picture = number, decoded
    except errors.UnreadableError:
        if picture is None:
            raise
