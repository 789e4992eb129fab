"""What a pull brought back."""

from dataclasses import dataclass, field

from fiftyone_legpose.review.corrections import Corrections


@dataclass
class PullSummary:
    """What a pull brought back, and what the reviewers changed."""

    key: str
    frames: int
    """Frames of the run."""
    written: int = 0
    """Frames whose ground truth this call wrote."""
    unchanged: int = 0
    """Finished frames that an earlier pull had written."""
    empty: int = 0
    """Finished frames that were confirmed to show nobody."""
    waiting: int = 0
    """Frames that are still with the reviewer."""
    deleted_frames: int = 0
    """Frames that somebody deleted in CVAT; they stay out."""
    elsewhere: int = 0
    """Frames that went out again in a later run, which alone may write them."""
    imported: int = 0
    """Frames whose labels were replaced by `import_labels` since; they stay as they are."""
    missing: int = 0
    """Frames that are not in the dataset any more."""
    corrections: Corrections = field(default_factory=Corrections)
    """Over all finished frames, against what was shown."""
    gone: list[str] = field(default_factory=list)
    """Tasks that are not there any more."""
    file: str | None = None
    """The file that was read; all of its frames counted as completed."""
