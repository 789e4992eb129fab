"""Videos written frame by frame."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import numpy as np
import psutil

from fiftyone_legpose.errors import UnreadableError
from fiftyone_legpose.videos.ffmpeg import (
    EVEN_SIDES,
    h264_options,
    refused_write,
    require_tool,
    tool_reason,
)

_SCRATCH = ".legpose-"


def remove_leftovers(folder: Path) -> None:
    """Delete the half videos in a folder whose process was killed while it wrote them."""
    for scratch in folder.glob(f"{_SCRATCH}*-*"):
        pid = scratch.name.removeprefix(_SCRATCH).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(scratch, ignore_errors=True)


def write_video(
    output: Path,
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    frame_rate: float,
    *,
    crf: int = 20,
) -> None:
    """Write frames as H.264 without sound and metadata.

    Parameters
    ----------
    output
        The MP4 file: whole or not there, and replaced where it is there. Until it is whole it is
        in a folder that its owner alone can open.
    frames
        Each of shape (H, W, 3) of uint8, BGR.
    size
        Width and height in px.
    frame_rate
        Frames per second.
    crf
        See `h264_options`.

    Raises
    ------
    UnreadableError
        ffmpeg could not write it; or what `frames` raises.
    OSError
        The system refuses what ffmpeg writes, as a full disk does.
    MissingToolError
        ffmpeg is not installed.
    """
    width, height = size
    private = TemporaryDirectory(dir=output.parent, prefix=f"{_SCRATCH}{os.getpid()}-")
    with private as scratch, TemporaryFile() as told:
        part = Path(scratch) / "part.mp4"
        require_tool("ffmpeg")
        encoder = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "bgr24"]
            + ["-s", f"{width}x{height}", "-r", str(frame_rate), "-i", "pipe:0"]
            + ["-vf", EVEN_SIDES, *h264_options(crf=crf), str(part)],
            stdin=subprocess.PIPE,
            stderr=told,
        )
        assert encoder.stdin is not None
        try:
            # An encoder that gave up closes the pipe; its exit status is looked at below.
            with suppress(BrokenPipeError):
                for frame in frames:
                    encoder.stdin.write(frame.tobytes())
        finally:
            with suppress(BrokenPipeError):
                encoder.stdin.close()
            encoder.wait()
        if encoder.returncode:
            told.seek(0)
            complaint = told.read().decode(errors="replace")
            refused = refused_write(complaint, encoder.returncode, output.parent)
            raise refused or UnreadableError(
                f"ffmpeg could not write the video: {tool_reason(complaint, output)}"
            )
        os.replace(part, output)
