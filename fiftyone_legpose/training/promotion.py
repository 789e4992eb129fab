"""Whether new weights replace those in use, and how that is judged."""

import fiftyone as fo

from fiftyone_legpose.evaluation.evaluate import Evaluation, evaluate
from fiftyone_legpose.progress import Report
from fiftyone_legpose.training.data import TrainingFrames
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.registry import Version


def compare_with_default(
    version: Version,
    frames: TrainingFrames,
    dataset: fo.Dataset,
    *,
    gt_field: str,
    device: str,
    progress: Report | bool | None,
) -> Evaluation | None:
    """Evaluate the default and a version on its validation frames; None if they are the same."""
    new, old = version.name, registry.current_version()
    if new == old:
        return None
    ids = [frame.frame_id for frame in frames.side("val")]
    view = dataset.select_frames(ids) if dataset.media_type == "video" else dataset.select(ids)
    return evaluate(
        view,
        weights=[old, new],
        gt_field=gt_field,
        device="0" if "," in device else device,
        # A handful of frames: exporting to a faster runtime would take longer than it saves.
        backend="torch",
        # The split has seen to it; where it was told not to, the summary says so.
        trained_on=True,
        progress=progress,
    )


def promote(version: Version, comparison: Evaluation | None) -> bool:
    """Make a version the default if it beats the one that is; tell whether it is the default.

    The 95% interval of `Evaluation.better` decides. One video alone gives no interval: there the
    plain difference in mean OKS has to do.
    """
    if comparison is None:
        return True  # it is the default
    name = comparison.names[1]
    better = comparison.better(name)
    if better is None:
        better = (comparison.changes[name]["oks"].difference or 0.0) > 0
    if better:
        registry.use_version(version.name)
    return better
