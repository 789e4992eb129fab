"""Which weights there are, and which of them may be opened.

- ``registry``: versions of the weights and which one is in use
- ``weights``: weights by name or path, checked before anything in them runs
- ``checkpoints``: files before they are opened; ``bases``: what a training starts from
- ``ultralytics``, ``openvino_cpu``: libraries as this package uses them
- ``manifest.json``: the entries of FiftyOne's model zoo, announced on import by this module
"""

import json
import os
import sys
from pathlib import Path

MANIFEST = Path(__file__).with_name("manifest.json")

# FiftyOne splits this variable at every colon, so a Windows drive cannot be part of a path.
_ENTRY = str(MANIFEST).removeprefix(MANIFEST.drive)
_VARIABLE = "FIFTYONE_MODEL_ZOO_MANIFEST_PATHS"


def announce() -> None:
    """Add our manifest to FiftyOne's model zoo, beside the user's own.

    Where FiftyOne is loaded already its configuration is extended, else the environment variable
    that it reads when it loads, so that importing this package stays cheap.
    """
    if "fiftyone" in sys.modules:
        config = sys.modules["fiftyone"].config
        listed = list(config.model_zoo_manifest_paths or [])
        if str(MANIFEST) not in listed and _ENTRY not in listed:
            config.model_zoo_manifest_paths = [*listed, str(MANIFEST)]
        return
    variable = os.environ.get(_VARIABLE)
    # The variable hides what the configuration file lists, so that comes along.
    listed = variable.split(":") if variable else _listed_in_config_file()
    if _ENTRY not in listed:
        os.environ[_VARIABLE] = ":".join([*listed, _ENTRY])


def _listed_in_config_file() -> list[str]:
    default = Path("~/.fiftyone/config.json").expanduser()
    path = Path(os.environ.get("FIFTYONE_CONFIG_PATH") or default)
    try:
        return list(json.loads(path.read_text()).get("model_zoo_manifest_paths") or [])
    except (OSError, ValueError, AttributeError, TypeError):
        return []  # no such file; a broken one is FiftyOne's to report
