"""What a video file holds, without decoding it, and whether a browser shows it frame by frame."""

import json
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fiftyone_legpose.errors import UnreadableError
from fiftyone_legpose.videos.ffmpeg import run_tool, tool_reason

# What every browser with the open-source codecs plays; anything else becomes H.264 in MP4.
_PLAYED = {".mp4": {"h264", "av1"}, ".m4v": {"h264"}, ".webm": {"vp8", "vp9", "av1"}}
_LOST_PACKETS = 0.02
_LATE_FRAMES = 0.5
# Matroska keeps times in ms, so the first and the last of a clip are that far from the truth.
_ROUNDING_S = 0.002


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
    times_s: np.ndarray = field(compare=False)
    """(F,): seconds from the start of the file to each frame that a player shows, rising; empty
    where the file does not tell the time of every one."""
    stream_start_s: float = 0.0
    """Start of the video stream in seconds from the start of the file, as decoders count it."""
    starts_undecodable: bool = False
    """The first frames refer to pictures that the file does not hold."""

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
        ",start_time:stream_side_data=rotation:stream_tags=rotate:packet=pts_time,flags"
    )
    answer = run_tool(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries]
        + ["-of", "json", str(path)]
    )
    if answer.returncode != 0:
        raise UnreadableError(tool_reason(answer.stderr, path))
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
    rate, constant = _frame_rate(stream, times, count)
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
        frame_rate=rate or 25.0,
        frame_count=count,
        rotation=int(float(turned)) % 360,
        constant_rate=constant,
        pixel_aspect=Fraction(int(across), int(down)) if told else Fraction(1),
        times_s=times if len(times) == count else np.array([]),
        stream_start_s=_seconds(stream.get("start_time")),
        starts_undecodable=_starts_undecodable(packets, shown),
    )


def _frame_rate(stream: dict[str, Any], times: np.ndarray, count: int) -> tuple[float, bool]:
    """Give the mean rate in 1/s, 0 where nothing tells it, and whether it is constant."""
    # ffprobe says 0/0 where the file does not tell.
    frames, _, seconds = stream.get("avg_frame_rate", "0/0").partition("/")
    mean_rate = int(frames) / int(seconds) if int(seconds) else 0.0
    if len(times) < 2 or times[-1] <= times[0]:
        return mean_rate, True
    length = float(times[-1] - times[0])
    step = length / (len(times) - 1)
    # What the file announces is exact, but counts how long the last frame stands: minutes
    # where a camera was stopped late. Where times are missing it is all there is.
    announced_length = (count - 1) / mean_rate if mean_rate else 0.0
    if not mean_rate or (len(times) == count and abs(announced_length - length) > _ROUNDING_S):
        mean_rate = 1 / step
    off = np.abs(times - times[0] - np.arange(len(times)) * step)
    return mean_rate, bool(off.max() < step / 2)


def _starts_undecodable(packets: list[dict[str, Any]], shown: list[dict[str, Any]]) -> bool:
    """Tell whether frames are shown before the first one that stands for itself.

    So begins what was cut out of a stream between two key frames, as broadcasts and some cameras
    write it. Frames that nobody shows count: what comes after them may refer to them.
    """
    if "K" not in packets[0].get("flags", ""):
        return any("K" in packet.get("flags", "") for packet in packets)
    first = _seconds(packets[0].get("pts_time"))
    return any(_seconds(packet.get("pts_time"), first) < first for packet in shown)


def _seconds(told: str | None, otherwise: float = 0.0) -> float:
    return otherwise if told in (None, "N/A") else float(told)


def needs_copy(path: Path, facts: VideoFacts) -> str | None:
    """Say why the App cannot show a video as it is, or None where it can.

    FiftyOne draws the keypoints of frame n at n divided by the frame rate, counted from the start
    of the file, and ignores rotation metadata where ffmpeg keeps it as side data, so a picture that
    comes at another time, or is turned, would have those of another one.
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
    if facts.starts_undecodable:
        return "its first pictures cannot be decoded"
    late_s = facts.times_s[0] if len(facts.times_s) else 0.0
    if abs(late_s) * facts.frame_rate > _LATE_FRAMES:
        return f"its picture starts {late_s:.2f} s after the file does"
    if facts.codec not in _PLAYED.get(path.suffix.lower(), ()):
        return f"browsers do not play {facts.codec} in {path.suffix.lower()}"
    if facts.codec == "h264" and facts.pixel_format not in {"yuv420p", "yuvj420p"}:
        return f"browsers do not play H.264 with {facts.pixel_format}"
    return None


def square_filters(facts: VideoFacts) -> list[str]:
    """Give ffmpeg's filters that make the pixels of a picture square, where they are not."""
    if facts.has_square_pixels:
        return []
    # ffmpeg turns a picture before it filters, and the aspect of its pixels with it.
    return ["scale=ceil(iw*sar/2)*2:ih", "setsar=1"]


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
