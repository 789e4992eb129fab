"""import_labels: skeletons labelled elsewhere, onto the frames that they belong to."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import fiftyone as fo

from cvat_bridge.errors import FormatError
from fiftyone_legpose.cvat.login import Account, Login, find_login
from fiftyone_legpose.cvat.still_names import StillNames
from fiftyone_legpose.dataset import fields, frame_review, keypoint_labels, pose_table
from fiftyone_legpose.dataset.checks import check_collection, check_no_groups
from fiftyone_legpose.dataset.frames import source_dataset, write
from fiftyone_legpose.dataset.pose_table import people_by_frame
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.pose.matching import same_people
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.review.keypoint_order import (
    KeypointOrder,
    keypoint_order_of,
    reordered,
    target_names,
)
from fiftyone_legpose.review.label_sources import (
    Labels,
    check_login,
    parse_source,
    read_labels,
    write_pictures,
)
from fiftyone_legpose.videos.load import load

BY = "import_labels"
"""Who reviewed a frame whose labels were imported."""

_SAME_SHAPE = 0.02


@dataclass
class ImportSummary:
    """What an import did."""

    dataset: str
    written: int = 0
    """Frames whose ground truth this call wrote."""
    persons: int = 0
    """Persons on those frames."""
    unchanged: int = 0
    """Frames that had the same labels already."""
    kept: int = 0
    """Frames that had other labels, which stay (see `overwrite`)."""
    out: int = 0
    """Frames that are with a reviewer; they stay as they are."""
    empty: int = 0
    """Frames taken as confirmed to show nobody."""
    not_looked_at: int = 0
    """Frames without labels that nobody said are finished; they stay as they are."""
    unfinished: int = 0
    """Frames left out, because their jobs in CVAT are not completed."""
    unmatched: list[str] = field(default_factory=list)
    """Names of pictures that belong to no frame."""
    absent: list[str] = field(default_factory=list)
    """Keypoints of the dataset that the labels do not have; they count as not labelled."""
    made: bool = False
    """The dataset was made by this call."""


@waits_its_turn("dataset")
def import_labels(
    dataset: Any,
    source: str | Path,
    *,
    keypoint_order: KeypointOrder | None = None,
    label: str | None = None,
    fps: float | None = None,
    confirm_empty: bool | None = None,
    unfinished: bool = False,
    overwrite: bool = False,
    media_dir: str | Path | None = None,
    login: Login | None = None,
    progress: Report | bool | None = None,
    **account: Unpack[Account],
) -> ImportSummary:
    """Import skeletons labelled elsewhere into `ground_truth`.

    Labels attach to frames by the names of their pictures: those that a push gave, names of
    images, ``<video>_<00001>`` as `extract_frames` names stills, or ``frame_<000000>`` of a task
    that CVAT made of the only video. A dataset that does not exist is made of the pictures.

    Parameters
    ----------
    dataset
        Image or video collection, or the name of a dataset.
    source
        An export "Ultralytics YOLO Pose 1.0" or a task backup (zip or folder), ``task:12``,
        ``project:3``, or the address of a task or project. Or a file of another tool: COCO
        keypoints (JSON, also in a zip), Label Studio (JSON), DeepLabCut
        (``CollectedData_<scorer>.csv``) or SLEAP (``.slp``, needs sleap-io).
    keypoint_order
        Which keypoint comes when: ``"left_first"``, ``"right_first"`` (as in the labels that the
        author of the legs model published), or all names in order. None reads the names from the
        label, which exports do not hold. Labels of hips, knees and ankles alone, as COCO's 17
        keypoints have them, leave heels and feet without labels (`ImportSummary.absent`).
    label
        Name of the skeleton label, where there are several.
    fps
        Stills per second that were extracted from the videos; None if each frame was. Must be
        given for videos of more than 30 frames per second, of which `extract_frames` takes 30.
    confirm_empty
        Take frames without labels as confirmed to show nobody. None does so only where a job
        marked completed says that somebody looked.
    unfinished
        Also import from jobs that are not completed.
    overwrite
        Replace labels that are there, for good: no pull of an earlier push replaces them again.
        Frames that are with a reviewer stay all the same.
    media_dir
        Where the pictures of a new dataset go; by default a folder below FiftyOne's.
    url, token, user, password, organization
        As for `fiftyone_legpose.review.push`.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    ImportSummary

    Raises
    ------
    DatasetError
        No picture belongs to a frame, or the order of keypoints or `fps` is not known.
    CvatError
        The file or the server is not what is needed.
    """
    place = parse_source(source)
    login = find_login(login, **account)
    check_login(place, login)
    with reporting("import", progress) as report:
        report(0, 1, "reading")
        read = list(read_labels(place, login, label=label, unfinished=unfinished))
        collection, made = dataset, False
        if isinstance(dataset, str):
            made = not fo.dataset_exists(dataset)
            known = None if made else fo.load_dataset(dataset)
            if known is not None:
                check_no_groups(known)
            target = target_names(known)
            orders = [keypoint_order_of(labels, target, keypoint_order) for labels in read]
            if made:
                default = Path(fo.config.default_dataset_dir) / dataset
                folder = Path(media_dir or default).expanduser()
                pictures = write_pictures(place, login, folder, label=label)
                if not pictures:
                    raise DatasetError(
                        f"There is no dataset {dataset!r}, and {source} holds no pictures to make "
                        "it of: export with images, or name a dataset that has the frames."
                    )
                load(pictures, dataset, progress=False)
            collection = fo.load_dataset(dataset)
        else:
            check_collection(dataset)
            target = target_names(source_dataset(dataset))
            orders = [keypoint_order_of(labels, target, keypoint_order) for labels in read]
        summary = ImportSummary(source_dataset(collection).name, made=made)
        keypoint_labels.declare(source_dataset(collection), fields.GROUND_TRUTH)
        frames = _Frames(collection, fps)
        for number, (labels, order) in enumerate(zip(read, orders, strict=True)):
            report(number, len(read), labels.origin)
            frames.attach(labels, order, summary, confirm_empty, overwrite)
            names = zip(target, order, strict=True)
            summary.absent += [n for n, i in names if i is None and n not in summary.absent]
        report(len(read), len(read), "done")
    if not (summary.written or summary.unchanged or summary.kept or summary.out) and (
        summary.unmatched
    ):
        stems = Counter(name.rpartition("/")[2] for name in summary.unmatched)
        [(stem, count)] = stems.most_common(1)
        if count > 1:
            raise FormatError(
                f"{source} has two pictures named {stem}, and no frame of dataset "
                f"{summary.dataset!r} lies in a folder named like theirs, so their labels cannot "
                "be told apart. Export each task by itself, or rename one."
            )
        raise DatasetError(
            f"None of the {len(summary.unmatched)} pictures of {source} belongs to a frame of "
            f"dataset {summary.dataset!r}: they are named like {summary.unmatched[0]}, its frames "
            f"like {frames.names.examples()}."
        )
    return summary


class _Frames:
    """The frames of a collection, their labels, and where each one stands."""

    def __init__(self, collection: Any, fps: float | None):
        self.dataset = source_dataset(collection)
        self.table = pose_table.read_poses(collection, fields.GROUND_TRUTH)
        self.names = StillNames(collection, self.table, fps=fps)
        self.people = people_by_frame(self.table)
        self.reviews = frame_review.read(collection)
        self.taken: dict[int, str] = {}

    def attach(
        self,
        labels: Labels,
        order: list[int | None],
        summary: ImportSummary,
        confirm_empty: bool | None,
        overwrite: bool,
    ) -> None:
        """Write the labels of one file or task, and count what became of each picture.

        Labels are written before states, and each only where it differs, so that an import that
        was interrupted anywhere is completed by the next one.
        """
        confirmed = labels.looked_at if confirm_empty is None else confirm_empty
        summary.unfinished += labels.unfinished
        written: dict[str, fo.Keypoints | None] = {}
        marks: dict[str, list[str]] = {fields.CORRECTED: [], fields.EMPTY: []}
        for name, shares in labels.poses.items():
            frame = self.names.find(name, every_frame=labels.every_frame)
            if frame is None:
                summary.unmatched.append(name)
                continue
            self._claim(frame, name, labels)
            frame_id = self.table.frame_ids[frame]
            size = self._size(frame, name, labels)
            scale = (1, 1) if labels.in_px else size
            people = [reordered(pose, order, scale) for pose in shares]
            if not people and not confirmed:
                summary.not_looked_at += 1
            elif self.reviews.state[frame] == fields.OUT:
                summary.out += 1
            elif self.table.looked_at[frame] and same_people(self.people[frame_id], people):
                summary.unchanged += 1
                if self._is_unmarked(frame, overwrite):
                    marks[fields.CORRECTED if people else fields.EMPTY].append(frame_id)
            elif self.table.looked_at[frame] and not overwrite:
                summary.kept += 1
            else:
                written[frame_id] = keypoint_labels.to_keypoints(people, size)
                marks[fields.CORRECTED if people else fields.EMPTY].append(frame_id)
                summary.persons += len(people)
                summary.empty += not people
        summary.written += len(written)
        write(self.dataset, fields.GROUND_TRUTH, written)
        for state, ids in marks.items():
            frame_review.mark(self.dataset, ids, state=state, by=BY)

    def _is_unmarked(self, frame: int, overwrite: bool) -> bool:
        """Tell whether a frame that has the labels is not yet known to have them imported."""
        state, key = self.reviews.state[frame], self.reviews.key[frame]
        if overwrite:
            return (state, key) not in frame_review.IMPORTED
        return state in (None, fields.SELECTED)

    def _claim(self, frame: int, name: str, labels: Labels) -> None:
        origin = f"{name} of {labels.origin}"
        other = self.taken.setdefault(frame, origin)
        if other != origin:
            raise DatasetError(
                f"{origin} and {other} belong to the same frame: import one task at a time, with "
                "a view of its own video."
            )

    def _size(self, frame: int, name: str, labels: Labels) -> tuple[int, int]:
        width, height = self.table.sizes[self.table.frame_sample[frame]].tolist()
        if not (width > 0 and height > 0):
            raise DatasetError(
                f"The width and height of frame {name} are not known: call "
                "dataset.compute_metadata() first."
            )
        theirs = labels.sizes.get(name)
        if theirs and abs(theirs[0] / theirs[1] * height / width - 1) > _SAME_SHAPE:
            raise DatasetError(
                f"{name} was labelled on a picture of {theirs[0]} x {theirs[1]} px, its frame has "
                f"{width:.0f} x {height:.0f}: this is another picture, or it was turned or cut."
            )
        return int(width), int(height)
