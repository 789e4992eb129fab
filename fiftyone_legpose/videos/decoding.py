"""Decoding: frames of a video, or pictures, read ahead in a thread of their own."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from fiftyone_legpose.errors import UnreadableError

T = TypeVar("T")

# Enough to ride out a database write, little enough that memory does not grow with the video.
_FRAMES_AHEAD = 16


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
        The video cannot be opened, or ends before the last frame asked for; frames before that
        have been given.
    """
    if not Path(path).exists():
        raise UnreadableError("the file is gone")
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise UnreadableError("the video cannot be opened")
        position = 0
        for number in numbers:
            # Seeking lands on the wrong frame in many files, so frames between are decoded too.
            while position < number:
                if not capture.grab():
                    raise UnreadableError(
                        f"frame {position + 1} cannot be decoded; {number - 1} and before can"
                        if position + 1 == number
                        else f"the video ends after frame {position}"
                    )
                position += 1
            decoded, frame = capture.retrieve()
            if not decoded:
                raise UnreadableError(f"frame {number} cannot be decoded")
            yield number, frame
    finally:
        capture.release()


def read_picture(path: str | Path) -> np.ndarray:
    """Read one picture as BGR of shape (H, W, 3), turned as its EXIF says.

    Raises
    ------
    UnreadableError
        It cannot be decoded.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise UnreadableError("the picture cannot be read" if Path(path).exists() else "it is gone")
    return picture


def read_ahead(source: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Run an iterator in a thread, a few items ahead of whoever takes them.

    Parameters
    ----------
    source
        Makes the iterator; called in the thread.

    Yields
    ------
    T
        The iterator's items; an exception in the thread is raised here, after the last item.
    """
    ahead: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(_FRAMES_AHEAD)
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
