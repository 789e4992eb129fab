"""The errors of this package; each message names the input and says what to do next."""

import errno
import os

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class LegposeError(Exception):
    """Base of all errors that a user can mend."""


class NothingLoadedError(LegposeError):
    """None of the sources could be loaded."""


class WeightsError(LegposeError):
    """A weights file is missing, untrusted, no checkpoint, or has other keypoints."""


class DatasetError(LegposeError):
    """A dataset, view or field is not what a verb needs."""


class MissingToolError(LegposeError):
    """A program or package that a verb needs is not installed."""


class DeviceError(LegposeError):
    """There is no such CPU, GPU or other device to run a network on."""


class TrainingError(LegposeError):
    """Training cannot start or go on as it was asked to."""


class UnreadableError(Exception):
    """A file that cannot be used; the message is the reason, without the file's name."""


def file_trouble(error: OSError) -> str | None:
    """Say which file the system refuses and why; None where no file is to blame."""
    if error.errno is None or not (error.filename or error.errno in _OF_THE_DISK):
        return None
    return f"{error.filename or 'A file'} cannot be read or written: {os.strerror(error.errno)}."
