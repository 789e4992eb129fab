"""A log of what left: when, where to, how many stills, in which mode, with their sums."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fiftyone as fo
from filelock import FileLock

from fiftyone_legpose.files import writing
from fiftyone_legpose.privacy.stills import Policy

_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class HandOver:
    """One hand-over, as the log has it."""

    verb: str
    """``push``, ``extract_frames``, ``export``, ``report``, ``save_video`` or ``deidentify``."""
    to: str
    """Address of the server, or the file or folder that was written."""
    mode: str
    """Privacy mode."""
    sha256: Mapping[str, str] = field(repr=False)
    """Of what left, by its name there: of each still, or of each file."""
    crop_below: float = 0.0
    masks: int = 0
    """Rectangles that were black in all of it."""
    blackened: int = 0
    """Stills in which faces or upper bodies were hidden."""
    frames: int = 0
    dataset: str | None = None
    """Id of the dataset: its name may tell whom it shows."""
    run: str | None = None
    """Key of the push."""
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return asdict(self)


def hand_over(
    verb: str, to: str | Path, policy: Policy, sha256: Mapping[str, str], **facts: Any
) -> HandOver:
    """Note a hand-over in the log, one line of JSON, and give it back.

    Parameters
    ----------
    verb, to, sha256, **facts
        See `HandOver`; ``frames`` is by default the number of sums.
    policy
        By which it left.

    Raises
    ------
    DatasetError
        The log cannot be written.
    """
    facts.setdefault("frames", len(sha256))
    entry = HandOver(
        verb, str(to), policy.mode, dict(sha256), crop_below=policy.crop_below, **facts
    )
    path = audit_file()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Others may append at the same time: a line of many sums is longer than one write.
        with FileLock(f"{path}.lock"):
            log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
            with os.fdopen(log, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry.to_dict()) + "\n")
                file.flush()
                os.fsync(file.fileno())
    return entry


def audit_file() -> Path:
    """Tell where the log is: beside the datasets of FiftyOne, for its owner alone to read."""
    return Path(fo.config.default_dataset_dir) / "legpose" / "hand-overs.jsonl"
