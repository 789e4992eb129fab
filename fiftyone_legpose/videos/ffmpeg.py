"""How ffmpeg and ffprobe are run, and what their complaints mean."""

import errno
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

import numpy as np

from fiftyone_legpose.errors import MissingToolError, UnreadableError


def h264_options(*, crf: int) -> list[str]:
    """Give ffmpeg's options for bare H.264 in MP4 that every browser plays from its first byte on.

    Parameters
    ----------
    crf
        Constant rate factor of x264: 18 looks like the original, 23 is ffmpeg's default.
    """
    picture = ["-c:v", "libx264", "-crf", str(crf), "-preset", "veryfast", "-pix_fmt", "yuv420p"]
    # Titles of chapters can tell whom a video shows, as its metadata can.
    bare = ["-map_metadata", "-1", "-map_chapters", "-1"]
    return [*picture, *bare, "-movflags", "+faststart"]


TELL_TIMES: Final = (
    "settb=AVTB",
    "metadata=mode=add:key=legpose:value=1",
    "metadata=mode=print:key=legpose:file=-",
)
"""Filters that let ffmpeg write the time of each frame to its standard output."""

_TOLD_TIME: Final = re.compile(r"^frame:\d+\s+pts:(-?\d+|NOPTS)", re.MULTILINE)


def told_times(stdout: str) -> np.ndarray:
    """Read the times (F,) in s that `TELL_TIMES` wrote; NaN where ffmpeg does not know."""
    return np.array([np.nan if t == "NOPTS" else int(t) / 1e6 for t in _TOLD_TIME.findall(stdout)])


EVEN_SIDES: Final = "pad=ceil(iw/2)*2:ceil(ih/2)*2"
"""Filter for H.264 with 4:2:0, which needs even sides; a pixel of padding moves no keypoint."""


def run_tool(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run ffmpeg or ffprobe and wait.

    Raises
    ------
    MissingToolError
        The program is not installed.
    """
    require_tool(command[0])
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def transcode(source: Path, options: list[str], target: Path) -> str:
    """Let ffmpeg make a file, or numbered pictures, of a video's first video stream.

    Parameters
    ----------
    source
        The video.
    options
        Of the output, such as filters and codec.
    target
        What ffmpeg writes; a name with a number in it for pictures.

    Returns
    -------
    str
        What ffmpeg wrote to its standard output.

    Raises
    ------
    UnreadableError
        ffmpeg cannot decode the source.
    OSError
        The system refuses what ffmpeg writes: a full disk is not the video's fault.
    MissingToolError
        ffmpeg is not installed.
    """
    answer = run_tool(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", "-copyts", "-i", str(source)]
        + ["-map", "0:v:0", *options, str(target)]
    )
    if answer.returncode != 0:
        refused = refused_write(answer.stderr, answer.returncode, target.parent)
        raise refused or UnreadableError(tool_reason(answer.stderr, source))
    return answer.stdout


_WRITE_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def refused_write(stderr: str, returncode: int, folder: Path) -> OSError | None:
    """Tell from how ffmpeg ended that the system refused a write to a folder; None if not."""
    told = (code for code in _WRITE_ERRORS if os.strerror(code) in stderr)
    code = next(told, None)
    if returncode == -getattr(signal, "SIGXFSZ", 0):
        code = errno.EFBIG  # a limit of the process ends it without a word
    if code is None and folder.is_dir() and not os.access(folder, os.W_OK):
        code = errno.EACCES
    return None if code is None else OSError(code, os.strerror(code), str(folder))


def require_tool(name: str) -> None:
    """Check that ffmpeg or ffprobe is installed.

    Raises
    ------
    MissingToolError
        It is not; the message says how to install it.
    """
    if shutil.which(name) is None:
        raise MissingToolError(
            f"{name} is not installed. On Debian or Ubuntu run `sudo apt-get install ffmpeg`, "
            "on macOS `brew install ffmpeg`, on Windows `winget install ffmpeg`."
        )


def tool_reason(stderr: str, path: Path) -> str:
    """Say why ffmpeg or ffprobe cannot read a file, from what it wrote to its standard error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    known = {
        "moov atom not found": "it is truncated or not a video (no index found)",
        "Invalid data found": "it is not a video, or damaged",
    }
    for words, reason in known.items():
        if any(words in line for line in lines):
            return reason
    last = lines[-1].replace(str(path), "the file") if lines else "no reason given"
    return f"ffmpeg cannot read it: {last}"
