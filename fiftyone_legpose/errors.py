"""The errors of this package; each message names the input and says what to do next."""


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


class TrainingError(LegposeError):
    """Training cannot start or go on as it was asked to."""
