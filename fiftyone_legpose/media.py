"""Video files on disk: what they hold, whether browsers play them, and stills of them."""

import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from fiftyone_legpose.errors import DatasetError, MissingToolError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mts", ".m2ts", ".ts", ".wmv", ".asf"}
    | {".3gp", ".3g2", ".mpg", ".mpeg", ".m2v", ".vob", ".mod", ".dv", ".mxf", ".flv", ".ogv"}
)
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

UNREAD_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".gif", ".dng", ".cr2", ".nef", ".arw"})
"""Pictures as phones and cameras write them, which neither Pillow nor OpenCV is sure to read."""

# What every browser with the open-source codecs plays; anything else becomes H.264 in MP4.
_PLAYED = {".mp4": {"h264", "av1"}, ".m4v": {"h264"}, ".webm": {"vp8", "vp9", "av1"}}
_LOST_PACKETS = 0.02
# Matroska keeps times in ms, so the first and the last of a clip are that far from the truth.
_ROUNDING_S = 0.002


class UnreadableError(Exception):
    """A file that cannot be used; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class VideoFacts:
    """What ffprobe says of a video's first video stream."""

    codec: str
    pixel_format: str
    width: int
    height: int
    frame_rate: float
    """Mean frames per second, from the first frame to the last."""
    frame_count: int
    """Frames that a player shows."""
    rotation: int
    """Degrees by which a player turns the picture: 0, 90, 180 or 270."""
    constant_rate: bool
    """Each frame stands within half a frame of where a constant rate puts it."""
    pixel_aspect: Fraction
    """Width of a pixel by its height; 1 where the file does not tell."""

    @property
    def has_square_pixels(self) -> bool:
        """Whether a player draws the picture as wide as it is stored, to the pixel."""
        return abs(self.pixel_aspect - 1) * self.width < 1


def probe(path: Path) -> VideoFacts:
    """Read what a video file holds, without decoding it.

    Raises
    ------
    UnreadableError
        The file is empty, truncated, no video, or may not be read.
    MissingToolError
        ffprobe is not installed.
    """
    _check_readable(path)
    entries = (
        "stream=codec_name,pix_fmt,width,height,avg_frame_rate,nb_frames,sample_aspect_ratio"
        ":stream_side_data=rotation:stream_tags=rotate:packet=pts_time,flags"
    )
    answer = run_tool(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries]
        + ["-of", "json", str(path)]
    )
    if answer.returncode != 0:
        raise UnreadableError(_reason(answer.stderr, path))
    found = json.loads(answer.stdout)
    if not found.get("streams"):
        raise UnreadableError("it holds no video stream")
    stream = found["streams"][0]
    packets = found.get("packets", [])
    announced = int(stream.get("nb_frames") or len(packets))
    if len(packets) < announced * (1 - _LOST_PACKETS):
        raise UnreadableError(f"it is truncated: {len(packets)} of {announced} frames are there")
    # A clip that was trimmed without encoding it anew begins with frames that nobody shows.
    shown = [packet for packet in packets if "D" not in packet.get("flags", "")]
    times = np.sort([float(packet["pts_time"]) for packet in shown if "pts_time" in packet])
    count = len(shown)
    if not count:
        raise UnreadableError("it holds no frame that a player shows")
    # ffprobe says 0/0 where the file does not tell.
    frames, _, seconds = stream.get("avg_frame_rate", "0/0").partition("/")
    mean_rate = int(frames) / int(seconds) if int(seconds) else 0.0
    constant = True
    if len(times) > 1 and times[-1] > times[0]:
        length = float(times[-1] - times[0])
        step = length / (len(times) - 1)
        # What the file announces is exact, but counts how long the last frame stands: minutes
        # where a camera was stopped late. Where times are missing it is all there is.
        announced_length = (count - 1) / mean_rate if mean_rate else 0.0
        if not mean_rate or (len(times) == count and abs(announced_length - length) > _ROUNDING_S):
            mean_rate = 1 / step
        constant = bool(np.abs(times - times[0] - np.arange(len(times)) * step).max() < step / 2)
    side_data = [d["rotation"] for d in stream.get("side_data_list", []) if "rotation" in d]
    # 0:1 is what ffprobe says of pixels that nothing is known of, if it says anything.
    across, _, down = stream.get("sample_aspect_ratio", "0:1").partition(":")
    told = across.isdigit() and down.isdigit() and int(across) and int(down)
    turned = side_data[0] if side_data else stream.get("tags", {}).get("rotate", 0)
    return VideoFacts(
        codec=stream.get("codec_name", "unknown"),
        pixel_format=stream.get("pix_fmt", "unknown"),
        width=int(stream.get("width") or 0),
        height=int(stream.get("height") or 0),
        frame_rate=mean_rate or 25.0,
        frame_count=count,
        rotation=int(float(turned)) % 360,
        constant_rate=constant,
        pixel_aspect=Fraction(int(across), int(down)) if told else Fraction(1),
    )


def needs_copy(path: Path, facts: VideoFacts) -> str | None:
    """Say why the App cannot show a video as it is, or None where it can.

    FiftyOne counts frames at a constant rate and ignores rotation metadata where ffmpeg keeps it
    as side data, so both put keypoints in another place than the picture that a browser draws.
    OpenCV, which decodes for the model, ignores that pixels can be wider than high (camcorders):
    legs would be too slim, and lengths and angles in px wrong.
    """
    if facts.rotation:
        return f"its picture is turned by {facts.rotation} degrees"
    if not facts.has_square_pixels:
        aspect = facts.pixel_aspect
        return f"its pixels are not square ({aspect.numerator}:{aspect.denominator})"
    if not facts.constant_rate:
        return "its frame rate varies"
    if facts.codec not in _PLAYED.get(path.suffix.lower(), ()):
        return f"browsers do not play {facts.codec} in {path.suffix.lower()}"
    if facts.codec == "h264" and facts.pixel_format not in {"yuv420p", "yuvj420p"}:
        return f"browsers do not play H.264 with {facts.pixel_format}"
    return None


def playable_copy(path: Path, facts: VideoFacts, folder: Path) -> Path:
    """Re-encode a video once to upright H.264 at a constant rate, of square pixels.

    Parameters
    ----------
    path
        The original; it stays untouched.
    facts
        What `probe` said of it.
    folder
        Where copies are kept, named by a hash, so that no copy's name tells whom it shows.

    Returns
    -------
    Path
        An MP4 file; a copy that is there already is used again.

    Raises
    ------
    UnreadableError
        ffmpeg cannot decode the file, or the system refuses the copy.
    """
    stat = path.stat()
    identity = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    if not facts.has_square_pixels:
        # Copies made before aspects were read have the pixels of the original.
        identity += f"|{facts.pixel_aspect}"
    copy = folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.mp4"
    if not copy.exists():
        write_copy(path, facts, copy)
    return copy


def write_copy(path: Path, facts: VideoFacts, copy: Path) -> None:
    """Write a `playable_copy` to a place of its own; arguments and errors as there."""
    try:
        _encode(path, facts, copy)
    except OSError as error:
        raise UnreadableError(
            f"its playable copy {copy} cannot be written: {error.strerror or error}. Mend that and "
            "load it again"
        ) from None


def _encode(path: Path, facts: VideoFacts, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(facts.frame_rate).limit_denominator(1001)
    # H.264 with 4:2:0 needs even sides; a pixel of padding moves no keypoint of the copy.
    filters = [f"fps={rate}", *_squared(facts), "pad=ceil(iw/2)*2:ceil(ih/2)*2"]
    with TemporaryDirectory(dir=copy.parent) as scratch:
        part = Path(scratch) / "part.mp4"
        answer = run_tool(
            ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(path), "-map", "0:v:0"]
            + ["-vf", ",".join(filters), "-c:v", "libx264", "-crf", "18", "-preset", "veryfast"]
            + ["-pix_fmt", "yuv420p", "-map_metadata", "-1", "-movflags", "+faststart", str(part)]
        )
        if answer.returncode != 0 or not part.exists():
            raise UnreadableError(_reason(answer.stderr, path))
        os.replace(part, copy)


def write_stills(path: Path, folder: Path, *, fps: float, name: str) -> list[Path]:
    """Write stills of a video at a steady rate, upright, at full size, of square pixels.

    Parameters
    ----------
    path
        A video file.
    folder
        Where the stills go, as ``<name>_<00001>.jpg`` and so on.
    fps
        Stills per second of video; never more than the video has.
    name
        First part of each still's name.

    Returns
    -------
    list of Path
        In the order of time.

    Raises
    ------
    UnreadableError
        ffmpeg cannot decode the file.
    DatasetError
        The folder holds other stills of the video's name; nothing is written then.
    """
    facts = probe(path)
    folder.mkdir(parents=True, exist_ok=True)
    rate = Fraction(min(fps, facts.frame_rate)).limit_denominator(1001)
    with TemporaryDirectory(dir=folder) as scratch:
        answer = run_tool(
            ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-map", "0:v:0"]
            + ["-vf", ",".join([f"fps={rate}", *_squared(facts)]), "-q:v", "2"]
            + [str(Path(scratch) / "still_%09d.jpg")]
        )
        made = sorted(Path(scratch).iterdir())
        if answer.returncode != 0 or not made:
            raise UnreadableError(_reason(answer.stderr, path))
        stills = [folder / f"{name}_{number:05d}.jpg" for number in range(1, len(made) + 1)]
        _refuse_other_stills(folder, name, dict(zip(stills, made, strict=True)))
        for still, target in zip(made, stills, strict=True):
            if not target.exists():
                os.replace(still, target)
    return stills


def _squared(facts: VideoFacts) -> list[str]:
    """Give ffmpeg's filters that make the pixels of a picture square, where they are not."""
    if facts.has_square_pixels:
        return []
    # ffmpeg turns a picture before it filters, and the aspect of its pixels with it.
    return ["scale=ceil(iw*sar/2)*2:ih", "setsar=1"]


def _refuse_other_stills(folder: Path, name: str, made: Mapping[Path, Path]) -> None:
    """Refuse to put a picture where another is, which may be labelled, or beside such ones."""
    numbered = re.compile(re.escape(name) + r"_\d{5,}\.jpg")
    there = sorted(path for path in folder.iterdir() if numbered.fullmatch(path.name))
    for still in there:
        if still not in made or not filecmp.cmp(still, made[still], shallow=False):
            raise DatasetError(
                f"{folder} holds other stills of {name}, such as {still.name}: of another rate, "
                f"another video, or changed since. This one gives {len(made)}: choose another "
                f"folder, or delete {name}_*.jpg first, with what is labelled on them."
            )


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


def _check_readable(path: Path) -> None:
    try:
        if path.stat().st_size == 0:
            raise UnreadableError("the file is empty")
        with path.open("rb"):
            pass
    except PermissionError:
        raise UnreadableError("no permission to read it") from None
    except OSError as error:
        raise UnreadableError(error.strerror or "it cannot be opened") from None


def _reason(stderr: str, path: Path) -> str:
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
