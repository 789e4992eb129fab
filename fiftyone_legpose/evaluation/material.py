"""What is compared: labels and predictions, on the frames that have both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from fiftyone import ViewField

from fiftyone_legpose.dataset.checks import check_legs, check_whole
from fiftyone_legpose.dataset.fields import VIDEO
from fiftyone_legpose.dataset.frames import sample_values
from fiftyone_legpose.dataset.groups import sample_groups
from fiftyone_legpose.dataset.pose_table import PoseTable, read_poses
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.evaluation import metrics


@dataclass(frozen=True)
class Material:
    """The labels and the predictions on the frames that have both."""

    truth: PoseTable
    tables: Mapping[str, PoseTable]
    used: np.ndarray
    """(frames of the view,): labelled, and looked at by every prediction."""
    group: np.ndarray
    """(F,): the group of each frame used."""
    grouped_by: str

    @property
    def true_persons(self) -> metrics.Persons:
        """The labelled persons, by the place of their frame among those used."""
        return self._persons(self.truth)

    @property
    def leg(self) -> np.ndarray:
        """Leg length in px of each labelled person."""
        return self.truth.leg[self.used[self.truth.pose_frame]]

    @property
    def counts(self) -> dict[str, int]:
        """What there is to compare, as `Evaluation.counts` has it."""
        return {
            "frames": int(self.used.sum()),
            "frames_not_predicted": int((self.truth.looked_at & ~self.used).sum()),
            "persons": len(self.leg),
            "groups": len(np.unique(self.group)),
        }

    def persons(self, name: str) -> metrics.Persons:
        """Give the persons of a prediction, by the place of their frame among those used."""
        return self._persons(self.tables[name])

    def _persons(self, table: PoseTable) -> metrics.Persons:
        rows = self.used[table.pose_frame]
        place = np.cumsum(self.used) - 1
        return metrics.Persons(
            frame=place[table.pose_frame[rows]],
            points=table.points[rows],
            visibility=table.visibility[rows],
            confidence=table.confidence[rows],
            score=table.score[rows],
        )


def labelled_frames(view: Any, gt_field: str) -> Any:
    """Give the view of the frames that a person has looked at.

    Raises
    ------
    DatasetError
        There is none.
    """
    check_whole(view)
    video = view.media_type == "video"
    if view.get_field(f"frames.{gt_field}" if video else gt_field) is None:
        raise DatasetError(
            f"the dataset has no labels in field {gt_field!r}; pull corrections first"
        )
    looked_at = ViewField(gt_field) != None  # noqa: E711 - a FiftyOne expression
    labelled = view.match_frames(looked_at) if video else view.match(looked_at)
    if not sample_values(labelled, "id")[0]:
        raise DatasetError(
            f"no frame has labels in field {gt_field!r}: correct some frames and pull them, or "
            "import labels"
        )
    return labelled


def read_material(
    view: Any, gt_field: str, predicted: Mapping[str, str], group_by: str | None
) -> Material:
    """Read labels and predictions of a view.

    Parameters
    ----------
    view
        From `labelled_frames`.
    gt_field
        The labels.
    predicted
        Field of each prediction, by its name.
    group_by
        See `evaluate`.

    Raises
    ------
    DatasetError
        No frame was predicted, a field holds other keypoints, or there is no field to group by.
    """
    truth = read_poses(view, gt_field)
    tables = {name: read_poses(view, field) for name, field in predicted.items()}
    for name, table in {gt_field: truth, **tables}.items():
        check_legs(table.points, name)
    used = truth.looked_at.copy()
    for name, table in tables.items():
        if not (truth.looked_at & table.looked_at).any():
            raise DatasetError(f"no labelled frame was predicted in {name!r}; run predict first")
        used &= table.looked_at
    if not used.any():
        raise DatasetError(f"no labelled frame was predicted in all of {', '.join(tables)}")
    samples, grouped_by = _groups(view, truth, group_by)
    group = np.unique(samples[truth.frame_sample[used]], return_inverse=True)[1]
    return Material(truth, tables, used, group, grouped_by)


def _groups(view: Any, truth: PoseTable, group_by: str | None) -> tuple[np.ndarray, str]:
    """Give the group of each sample (S,), and what it is called."""
    if group_by is None:
        # Stills of one walk are as alike as frames of one video, and training parts them as such.
        return np.unique(sample_groups(view)[1], return_inverse=True)[1], VIDEO
    if not view.has_sample_field(group_by):
        raise DatasetError(f"there is no sample field {group_by!r} to group by")
    values = view.values(group_by)
    # A sample without a value stands for itself.
    keys = [
        f"={value}" if value is not None else sample
        for value, sample in zip(values, truth.sample_ids, strict=True)
    ]
    return np.unique(keys, return_inverse=True)[1], group_by
