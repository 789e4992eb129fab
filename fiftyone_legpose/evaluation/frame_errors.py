"""How far off a prediction is on each frame, as a number to sort by, stored with the frame."""

from collections.abc import Mapping

import fiftyone as fo
import numpy as np

from fiftyone_legpose.dataset.fields import error_field
from fiftyone_legpose.evaluation.comparison import Comparison
from fiftyone_legpose.evaluation.material import Material


def frame_errors(compared: Comparison, frames: int) -> np.ndarray:
    """Give one number a frame to sort by, worst high.

    Parameters
    ----------
    compared
        From `comparison.compare`.
    frames
        F.

    Returns
    -------
    np.ndarray
        Shape (F,): mean over the persons of their mean error in leg lengths, at most 1. A person
        missed and one who is not there count 1.
    """
    capped = np.minimum(compared.error / compared.leg[:, None], 1)
    total = np.bincount(compared.frame, np.nanmean(capped, axis=1), frames)
    total += np.bincount(compared.spare_frame, minlength=frames)
    persons = np.bincount(compared.frame, minlength=frames)
    return total / np.maximum(persons + np.bincount(compared.spare_frame, minlength=frames), 1)


def write_frame_errors(
    dataset: fo.Dataset,
    material: Material,
    predicted: Mapping[str, str],
    errors: Mapping[str, np.ndarray],
) -> None:
    """Store how far off predictions are on each frame, for the App to sort by.

    Parameters
    ----------
    dataset
        Gets a field for each prediction (`error_field`), and for videos a summary of it.
    material
        Whose frames were compared.
    predicted
        Field of each prediction, by its name.
    errors
        From `frame_errors`, by name.
    """
    video = dataset.media_type == "video"
    add, prefix = (dataset.add_frame_field, "frames.") if video else (dataset.add_sample_field, "")
    clear = dataset.clear_frame_field if video else dataset.clear_sample_field
    ids = [material.truth.frame_ids[i] for i in np.flatnonzero(material.used)]
    for name, field in predicted.items():
        target = error_field(field)
        add(target, fo.FloatField)
        clear(target)  # what an earlier evaluation said of other frames is no part of this one
        values = dict(zip(ids, errors[name].tolist(), strict=True))
        dataset.set_values(prefix + target, values, key_field=f"{prefix}id", expand_schema=False)
        if not video:
            continue
        summary = f"{target}_of_video"
        if dataset.has_sample_field(summary):
            dataset.update_summary_field(summary)
        else:
            dataset.create_summary_field(prefix + target, field_name=summary)
