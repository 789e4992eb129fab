"""The annotation backend `cvat-skeleton`: announced to FiftyOne when the package is imported."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

BACKEND: Final = "cvat-skeleton"
"""Name of the backend, as in ``view.annotate(key, backend="cvat-skeleton", ...)``."""

_CLASS: Final = "fiftyone_legpose.cvat.backend.CvatSkeletonBackendConfig"
_LISTED: Final = "FIFTYONE_ANNOTATION_BACKENDS"
_CLASS_VARIABLE: Final = f"FIFTYONE_{BACKEND.upper()}_CONFIG_CLS"


def announce_backend() -> None:
    """Add the backend to FiftyOne's annotation backends, beside the user's own.

    Where FiftyOne is loaded already its configuration is extended, else the environment variables
    that it reads when it loads, so that importing this package stays cheap.
    """
    config = getattr(sys.modules.get("fiftyone"), "annotation_config", None)
    if config is not None:
        config.backends.setdefault(BACKEND, {}).setdefault("config_cls", _CLASS)
        return
    os.environ.setdefault(_CLASS_VARIABLE, _CLASS)
    variable = os.environ.get(_LISTED)
    # The variable hides what the configuration file lists, so that comes along.
    listed = variable.split(",") if variable else ["*", *_listed_in_config_file()]
    if BACKEND not in listed:
        os.environ[_LISTED] = ",".join([*listed, BACKEND])


def _listed_in_config_file() -> list[str]:
    default = Path("~/.fiftyone/annotation_config.json").expanduser()
    path = Path(os.environ.get("FIFTYONE_ANNOTATION_CONFIG_PATH") or default)
    try:
        settings: dict[str, Any] = json.loads(path.read_text())
        return [str(name) for name in settings.get("backends") or {}]
    except (OSError, ValueError, AttributeError, TypeError):
        return []  # no such file; a broken one is FiftyOne's to report
