"""Decoding: frames of a video, or pictures, read ahead in a thread of their own."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from fiftyone_legpose.dataset.pictures import read_turned
from fiftyone_legpose.errors import UnreadableError
from fiftyone_legpose.videos.probe import probe

T = TypeVar("T")

# Times are told to the microsecond, and read as floating point.
_SAME_TIME_S = 2e-5

# Enough to ride out a database write, little enough that memory does not grow with the video.
FRAMES_AHEAD = 16

# Encoders start anew every 250 frames at the latest: to seek decodes about as many on average.
_SEEK_FROM = 250


def read_frames(path: str | Path, numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Decode chosen frames of a video, in one pass.

    Parameters
    ----------
    path
        A video at a constant frame rate.
    numbers
        Frame numbers from 1, rising.

    Yields
    ------
    number : int
    frame : np.ndarray
        Shape (H, W, 3) of uint8, BGR, upright.

    Raises
    ------
    UnreadableError
        The video cannot be opened, or some of the frames cannot be decoded. Raised behind the last
        one: a damaged frame does not keep those after it back.
    """
    if not Path(path).exists():
        raise UnreadableError("the file is gone")
    ahead = deque(numbers)
    missing = []
    with closing(_decoded(Path(path))) as frames:
        for last, picture in frames:
            while ahead and ahead[0] < last:
                missing.append(ahead.popleft())
            if ahead and ahead[0] == last:
                number, frame = ahead.popleft(), picture()
                if frame is None:
                    missing.append(number)
                else:
                    yield number, frame
            if not ahead:
                break
    missing += ahead
    if missing:
        raise UnreadableError(_cannot_decode(missing))


def _decoded(path: Path) -> Generator[tuple[int, Callable[[], np.ndarray | None]]]:
    """Go through the frames of a video: the number of each, and what gives its picture."""
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise UnreadableError("the video cannot be opened")
        clock = _Clock(path)
        number = failed = 0
        # A frame that cannot be decoded looks like the end of the video; the next attempt tells.
        # Seeking lands on the wrong frame in many files, so every frame is decoded.
        while number + failed <= clock.frame_count:
            if not capture.grab():
                failed += 1
                continue
            number = clock.number(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, after=number)
            failed = 0
            yield number, lambda: _retrieved(capture)
    finally:
        capture.release()


def _retrieved(capture: cv2.VideoCapture) -> np.ndarray | None:
    done, frame = capture.retrieve()
    return frame if done else None


class _Clock:
    """Tells by its time which frame a decoder has come to: it says nothing of those it skipped."""

    def __init__(self, path: Path):
        facts = probe(path)
        self.frame_count = facts.frame_count
        self._times_s = facts.times_s - facts.stream_start_s

    def number(self, time_s: float, *, after: int) -> int:
        """Find the number of the frame at a time, or of the next one where no frame is there."""
        if not len(self._times_s):
            return after + 1
        place = int(np.searchsorted(self._times_s, time_s - _SAME_TIME_S))
        is_there = place < self.frame_count and self._times_s[place] - time_s < _SAME_TIME_S
        # A decoder that knows no time says 0.
        return max(place + 1, after + 1) if is_there else after + 1


def _cannot_decode(numbers: Sequence[int]) -> str:
    told = ", ".join(map(str, numbers[:3])) + (", ..." if len(numbers) > 3 else "")
    if len(numbers) == 1:
        return f"frame {told} cannot be decoded"
    return f"{len(numbers)} frames cannot be decoded: {told}"


def read_picture(path: str | Path) -> np.ndarray:
    """Read one picture as BGR of shape (H, W, 3), turned as its EXIF says.

    Raises
    ------
    UnreadableError
        It cannot be decoded.
    """
    if (turned := read_turned(path)) is not None:
        return np.ascontiguousarray(turned[..., ::-1])
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise UnreadableError("the picture cannot be read" if Path(path).exists() else "it is gone")
    return picture


def read_some(path: str | Path, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Decode frames near the given ones, quickly: where it pays, by seeking.

    Parameters
    ----------
    path, numbers
        As for `read_frames`. Seeking lands on another frame in many files, always on the same one.

    Yields
    ------
    np.ndarray
        Shape (H, W, 3) of uint8, BGR; nothing for what cannot be decoded.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        position = 0
        for number in numbers:
            if number - position > _SEEK_FROM:
                capture.set(cv2.CAP_PROP_POS_FRAMES, number - 1)
                position = number - 1
            while position < number and capture.grab():
                position += 1
            decoded, frame = capture.retrieve() if position == number else (False, None)
            if decoded and frame is not None:
                yield frame
    finally:
        capture.release()


def read_ahead(source: Callable[[], Iterator[T]], frames: int = FRAMES_AHEAD) -> Iterator[T]:
    """Run an iterator in a thread, a few items ahead of whoever takes them.

    Parameters
    ----------
    source
        Makes the iterator; called in the thread.
    frames
        How many items wait at most.

    Yields
    ------
    T
        The iterator's items; an exception in the thread is raised here, after the last item.
    """
    ahead: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(frames)
    stopped = threading.Event()

    def put(item: tuple[T] | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                ahead.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        try:
            for item in source():
                if not put((item,)):
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=run, name="legpose-decode", daemon=True)
    thread.start()
    try:
        while (item := ahead.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        stopped.set()
        thread.join()
