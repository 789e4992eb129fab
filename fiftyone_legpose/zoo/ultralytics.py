"""Ultralytics as this package uses it: nothing sent, nothing installed behind the user's back."""

import os
from typing import Any


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
