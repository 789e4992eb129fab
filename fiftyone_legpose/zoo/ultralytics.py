"""Ultralytics as this package uses it: nothing sent, nothing installed behind the user's back."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOGGING_WARNING = 30


def import_ultralytics() -> Any:
    """Import ultralytics with its telemetry, update checks and auto-install off.

    Every module of this package imports ultralytics through here. The user's settings file is
    neither changed nor overridden on disk: the switches live in this process, and in the
    environment for the processes that ultralytics starts to train on several GPUs.

    Returns
    -------
    module
        The ``ultralytics`` package.

    Notes
    -----
    Experiment trackers that the user installed and switched on in ultralytics' own settings
    (MLflow, Weights & Biases, ...) stay on.
    """
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    import ultralytics
    from ultralytics.utils import checks
    from ultralytics.utils.events import events

    # Too late for the environment where the user imported ultralytics first.
    checks.AUTOINSTALL = False
    checks.ONLINE = False
    events.enabled = False
    return ultralytics


@contextmanager
def quiet() -> Iterator[None]:
    """Let ultralytics print its warnings alone, without those of torch to those who call it."""
    import_ultralytics()
    from ultralytics.utils import LOGGER

    before = LOGGER.level
    LOGGER.setLevel(_LOGGING_WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        LOGGER.setLevel(before)
