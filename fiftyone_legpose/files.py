"""Files on disk: written whole or not at all, and known by their sum."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fiftyone_legpose.errors import DatasetError


def file_sha256(path: Path) -> str:
    """Compute a file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file or folder that is being written where the system refuses it.

    Raises
    ------
    DatasetError
        In place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DatasetError(
            f"{path} cannot be written: {reason}. Mend that, or name another place."
        ) from None


@contextmanager
def write_whole(target: Path) -> Iterator[Path]:
    """Give a place to write a file to, which takes the target's name only when all is written.

    The place lies in a folder of its own beside the target: another process may write the same
    target, and what is half written when this one dies bears nobody's name. Folders that are
    missing are made; a file that is there is replaced.

    Parameters
    ----------
    target
        The file to write.

    Yields
    ------
    Path
        Of the same name and suffix, in that folder.

    Raises
    ------
    DatasetError
        The system refuses it, or the target is a folder.
    """
    if target.is_dir():
        raise DatasetError(f"{target} is a folder: name a file in it.")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=".writing-") as scratch:
            part = Path(scratch) / target.name
            yield part
            os.replace(part, target)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that the target is there only when all of it is; see `write_whole`."""
    with write_whole(target) as part:
        shutil.copyfile(source, part)
