"""How ffmpeg and ffprobe are run, and what their complaints mean."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from fiftyone_legpose.errors import MissingToolError


def h264_options(*, crf: int) -> list[str]:
    """Give ffmpeg's options for H.264 in MP4 that every browser plays from its first byte on.

    Parameters
    ----------
    crf
        Constant rate factor of x264: 18 looks like the original, 23 is ffmpeg's default.
    """
    return ["-c:v", "libx264", "-crf", str(crf), "-preset", "veryfast", "-pix_fmt", "yuv420p"] + [
        "-map_metadata",
        "-1",
        "-movflags",
        "+faststart",
    ]


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
