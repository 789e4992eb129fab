"""Work that several processes of one user may begin at once, done one after the other."""

import getpass
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

FOLDER = Path("~/.cache/cvat-bridge/locks")
"""Where locks are; two processes wait for each other only if they share it."""

_held = threading.local()


@contextmanager
def one_at_a_time(place: str, work: str, on_wait: Callable[[str], None]) -> Iterator[bool]:
    """Hold a place alone, and wait for another process that holds it.

    The system frees what a process held that was killed. Whoever holds a place may take it again.

    Parameters
    ----------
    place
        What is written to. Its name can tell of a patient, so the disk sees only its sum.
    work
        What is being done, in words that whoever waits is shown.
    on_wait
        Called once with who holds the place, such as ``push, process 4711``, before waiting.

    Yields
    ------
    bool
        Whether there was somebody to wait for, who may have changed what was read before.
    """
    known: set[str] = _held.__dict__.setdefault("places", set())
    if place in known:
        yield False
        return
    path = _folder() / hashlib.sha256(place.encode()).hexdigest()[:32]
    lock, holder = FileLock(path.with_suffix(".lock")), path.with_suffix(".holder")
    waited = False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waited = True
        on_wait(_read(holder) or "another process")
        lock.acquire()
    known.add(place)
    try:
        with suppress(OSError):  # it only tells who is at work
            holder.write_text(f"{work}, process {os.getpid()}", encoding="utf-8")
        yield waited
    finally:
        known.discard(place)
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _read(holder: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return holder.read_text(encoding="utf-8")
    return ""


def _folder() -> Path:
    """Make the folder of locks; where the home cannot be written to, one of temporary files."""
    folder = FOLDER.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"cvat-bridge-{getpass.getuser()}"
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
