"""What the last push refused, kept with the dataset until it is decided upon."""

import base64
from typing import Any

from fiftyone_legpose.privacy.stills import PrivacyError

_INFO = "legpose_refused"
_PICTURED = 12


def remember_refusal(dataset: Any, refusal: PrivacyError) -> None:
    """Keep what was refused in the dataset, with small pictures of the first stills."""
    dataset.info[_INFO] = {
        "told": str(refusal),
        "pictures": [
            {
                "label": f"{still.where}: {' and '.join(still.reasons)}",
                "jpeg": base64.b64encode(still.thumbnail).decode(),
            }
            for still in refusal.refused[:_PICTURED]
        ],
    }
    dataset.save()


def forget_refusal(dataset: Any) -> None:
    """Delete what was kept, once something was sent."""
    if dataset.info.pop(_INFO, None) is not None:
        dataset.save()


def read_refusal(dataset: Any) -> dict[str, Any] | None:
    """Give ``told``, in words, and ``pictures`` (``label``, ``jpeg`` in base64), or None."""
    found: dict[str, Any] | None = dataset.info.get(_INFO)
    return found
