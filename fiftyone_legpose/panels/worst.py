"""The frames that the last evaluation found worst."""

from typing import Any

import fiftyone as fo

from fiftyone_legpose.evaluation.result import Evaluation

_FRAMES = 10


def worst_frames(dataset: fo.Dataset, evaluation: Evaluation) -> list[dict[str, Any]]:
    """List the frames with the highest error of the last prediction that was compared.

    Parameters
    ----------
    dataset
        Image or video dataset.
    evaluation
        Of that dataset.

    Returns
    -------
    list of dict
        ``sample``, ``video`` (the name of the file that was loaded), ``frame`` and ``error`` in
        leg lengths (see `evaluation.frame_errors.frame_errors`), the worst first.
    """
    from fiftyone_legpose.dataset.fields import error_field
    from fiftyone_legpose.dataset.file_names import file_names
    from fiftyone_legpose.dataset.frames import raw, sample_values

    field = error_field(list(evaluation.fields.values())[-1])
    # Straight from the documents: the App's own sort would go through every frame of every video.
    found = list(
        raw(dataset)
        .find({field: {"$gt": 0}}, {field: 1, "frame_number": 1, "_sample_id": 1})
        .sort(field, -1)
        .limit(_FRAMES)
    )
    samples = [str(row.get("_sample_id", row["_id"])) for row in found]
    view = dataset.select(samples)
    names = dict(zip(sample_values(view, "id")[0], file_names(view), strict=True))
    return [
        {
            "sample": sample,
            "video": names.get(sample, ""),
            "frame": int(row.get("frame_number", 1)),
            "error": float(row[field]),
        }
        for sample, row in zip(samples, found, strict=True)
    ]
