"""Which labelled frames flatter weights, because they or their ancestors were trained on them."""

from collections.abc import Collection, Sequence
from typing import Any

from fiftyone_legpose.dataset.frames import frame_documents, source_dataset
from fiftyone_legpose.dataset.groups import sample_groups
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.evaluation.material import Material
from fiftyone_legpose.prediction.stored_runs import runs_of
from fiftyone_legpose.zoo import registry
from fiftyone_legpose.zoo.weights import Weights


def trained_frames(
    view: Any, weights: Sequence[Weights], stored: Sequence[str]
) -> set[tuple[str, int]]:
    """Name the frames, by sample and number, that weights or their ancestors were trained on."""
    digests = {found.sha256 for found in weights}
    digests |= {run.weights_sha256 for field in stored for run in runs_of(view, field)}
    return {
        (frame["sample"], frame["frame"])
        for version in registry.lineage(*digests)
        for frame in version.frames.get("train", ())
    }


def without_trained(view: Any, trained: Collection[tuple[str, int]]) -> tuple[Any, list[str]]:
    """Leave the frames of `trained_frames` out of a view; also give their ids.

    Raises
    ------
    DatasetError
        None would be left.
    """
    places = [
        (str(frame["_id"]), (sample, frame.get("frame_number", 1)))
        for sample, frame in frame_documents(view, [])
    ]
    known = [frame_id for frame_id, place in places if place in trained]
    if len(known) == len(places):
        raise DatasetError(
            f"the weights were trained on all {len(known)} labelled frames, which would flatter "
            "them; correct frames of other videos, or say trained_on=True (--trained-on) and do "
            "not trust the figures"
        )
    if not known:
        return view, known
    video = view.media_type == "video"
    return (view.exclude_frames(known) if video else view.exclude(known)), known


def count_trained(
    view: Any,
    material: Material,
    trained: Collection[tuple[str, int]],
    left_out: Collection[str],
) -> dict[str, int]:
    """Count what flatters weights, as `Evaluation.counts` has it.

    Parameters
    ----------
    view
        A view of the dataset.
    material
        The frames that are compared.
    trained
        From `trained_frames`.
    left_out
        From `without_trained`.
    """
    dataset = source_dataset(view)
    group_of = dict(zip(dataset.values("id"), sample_groups(dataset)[0], strict=True))
    known = {group_of[sample] for sample, _ in trained if sample in group_of}
    table = material.truth
    used = table.frame_sample[material.used].tolist()
    return {
        "frames_trained_on": len(left_out),
        "frames_of_known_subjects": sum(group_of[table.sample_ids[i]] in known for i in used),
    }
