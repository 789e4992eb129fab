"""Frames on their way to a reviewer: chosen, named neutrally, numbered people."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import fiftyone as fo
import numpy as np

from cvat_bridge.frames import Frame
from cvat_bridge.poses import Pose
from cvat_bridge.skeleton import Skeleton
from fiftyone_legpose.dataset import pose_table
from fiftyone_legpose.dataset.frames import (
    dataset_id,
    is_video,
    path,
    sample_values,
    source_dataset,
)
from fiftyone_legpose.dataset.pictures import know_sizes
from fiftyone_legpose.errors import DatasetError

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")


@dataclass(frozen=True)
class Outgoing:
    """The frames of one review run in order, with what is drawn on them; F frames.

    An image is a frame without a number. Poses bear the number of a person within the run as
    their track id, because one CVAT task can hold several videos whose track ids are the same.
    No two labels of a frame share one, so that each is known again wherever it was moved.
    """

    frame_ids: list[str]
    """Ids of frame documents, or of samples for images."""
    sample_ids: list[str]
    tag: str
    """Six digits that tell these frames from all others that were sent under the same key."""
    names: list[str]
    """Names of the stills, without suffix."""
    sizes: list[tuple[int, int]]
    """Width and height in px."""
    filepaths: list[str]
    """Empty where the frame was deleted since it was sent."""
    numbers: list[int | None]
    """Frame numbers from 1, or None for images."""
    poses: list[list[Pose]]
    label_ids: list[list[str]]
    people: list[tuple[str, int]]
    """Sample id and track id (``index``) of each person of the run; the latter is negative for a
    label without one."""

    def to_frames(self, read: Callable[[int], bytes]) -> list[Frame]:
        """Give them as cvat_bridge sends them.

        Parameters
        ----------
        read
            Makes the still of a position, such as `Stills.read`; called when it is sent.
        """
        return [
            Frame(partial(read, i), *self.sizes[i], poses=self.poses[i], name=self.names[i])
            for i in range(len(self.frame_ids))
        ]


def check_key(key: str) -> None:
    """Refuse the key of a run that cannot name stills.

    Raises
    ------
    DatasetError
    """
    if not _KEY.fullmatch(key):
        raise DatasetError(
            f"The key {key!r} cannot name a review run: use up to 48 letters, digits and _, "
            "starting with a letter, for example round1. It is seen in CVAT, so no patient's name."
        )


def skeleton_of(
    collection: Any, field: str, classes: Sequence[Any] = (), *, known: Sequence[Skeleton] = ()
) -> Skeleton:
    """Find the skeleton of a keypoint field, as it is to be labelled in CVAT.

    Parameters
    ----------
    collection
        Dataset or view with `fo.KeypointSkeleton` for the field, or a default one.
    field
        Name of the field, with or without ``frames.``.
    classes
        Classes of the field's labels; the only one names the label in CVAT.
    known
        Skeletons with a drawing of their own, taken where the field has their very keypoints.

    Raises
    ------
    DatasetError
        The dataset has no skeleton for the field, or one without names.
    """
    bare = field.removeprefix("frames.")
    found = collection.skeletons.get(bare) or collection.skeletons.get(f"frames.{bare}")
    found = found or collection.default_skeleton
    if found is None or not found.labels:
        raise DatasetError(
            f"Dataset {source_dataset(collection).name!r} has no skeleton with names for field "
            f"{bare!r}: set dataset.skeletons = {{..., {bare!r}: fo.KeypointSkeleton(labels=[...], "
            "edges=[...])} first."
        )
    keypoints = tuple(found.labels)
    for skeleton in known:
        if skeleton.keypoints == keypoints:
            return skeleton
    names = [name for name in classes if isinstance(name, str)]
    edges = {(min(pair), max(pair)): None for line in found.edges or [] for pair in pairwise(line)}
    return Skeleton(
        name=names[0] if len(names) == 1 else bare,
        keypoints=keypoints,
        edges=tuple(edges),
    )


def read_outgoing(
    view: Any,
    field: str,
    key: str,
    *,
    keypoint_count: int,
    as_tracks: bool = False,
    media_field: str = "filepath",
    people: Sequence[Sequence[Any]] = (),
) -> Outgoing:
    """Read the frames of a collection with their poses, in the order of videos and time.

    Parameters
    ----------
    view
        Image or video collection, also a view of frames.
    field
        Keypoint field, with or without ``frames.``.
    key
        Of the review run; names the stills.
    keypoint_count
        Points that each pose must have.
    as_tracks
        Number a person anew after each gap in a video, so that a track is one stretch of frames.
    media_field
        Sample field with the path of the video or picture.
    people
        Sample id and track id of each person that the run knows already (`Outgoing.people`): they
        keep their numbers.

    Raises
    ------
    DatasetError
        There are no frames, a size is unknown, or a pose has another number of points.
    """
    bare = field.removeprefix("frames.")
    video = view.media_type == "video"
    know_sizes(view)
    try:
        table = pose_table.read_poses(view, bare)
    except ValueError as error:
        raise DatasetError(
            f"The poses of {bare!r} differ in their number of points ({error}); one skeleton has "
            f"{keypoint_count}."
        ) from None
    if not table.frame_ids:
        raise DatasetError(
            "There are no frames in this collection: nothing can be sent. Frames of videos without "
            "labels are there after dataset.ensure_frames()."
        )
    if len(table.points) and table.points.shape[1] != keypoint_count:
        raise DatasetError(
            f"The poses of {bare!r} have {table.points.shape[1]} points, their skeleton has "
            f"{keypoint_count}: give the field its own in dataset.skeletons."
        )
    if media_field != "filepath":
        table = replace(table, filepaths=sample_values(view, media_field)[0])
    known = [(str(sample_id), int(track)) for sample_id, track in people]
    person, numbered = _number_people(table, known, by_stretch=as_tracks and video)
    return _from_table(table, person, numbered, key, _name_tag(view, key, table.frame_ids), video)


def _name_tag(view: Any, key: str, frame_ids: Sequence[str]) -> str:
    """Give six digits for these frames of a run, and for no others.

    Without them what CVAT holds of another ``round1``, of another dataset or from before the key
    was free again, would fit this one by name.
    """
    sent = " ".join([dataset_id(view), key, *frame_ids])
    return hashlib.sha256(sent.encode()).hexdigest()[:6]


def _number_people(
    table: pose_table.PoseTable, known: Sequence[tuple[str, int]], *, by_stretch: bool
) -> tuple[np.ndarray, list[tuple[str, int]]]:
    """Give each track of each sample a number of the run.

    Poses without a track share numbers from frame to frame, by their order in it; by stretch they
    get -1, since CVAT would take those for tracks. FiftyOne allows a track id twice in a frame, for
    labels of different classes: the second one gets a number of its own.
    """
    people = list(known)
    kept: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number in reversed(range(len(known))):
        kept[known[number]].append(number)
    person = np.full(len(table.track), -1)
    stretch = _stretches(table) if by_stretch else np.zeros(len(table.frame_ids), int)
    numbers: dict[tuple[int, int, int, int], int] = {}
    in_frame: Counter[tuple[int, int]] = Counter()
    for i, track in enumerate(table.track.tolist()):
        if track < 0 and by_stretch:
            continue
        frame = int(table.pose_frame[i])
        place = int(table.frame_sample[frame]), int(stretch[frame])
        identity = (place[0], track, place[1], in_frame[frame, track])
        in_frame[frame, track] += 1
        if identity not in numbers:
            one = (table.sample_ids[identity[0]], identity[1])
            if not kept[one]:
                kept[one].append(len(people))
                people.append(one)
            numbers[identity] = kept[one].pop()
        person[i] = numbers[identity]
    return person, people


def _stretches(table: pose_table.PoseTable) -> np.ndarray:
    """Tell stretches of frames apart (F,): a gap is longer than the video's smallest step."""
    starts = np.zeros(len(table.frame_ids), bool)
    for sample in np.unique(table.frame_sample):
        inside = np.flatnonzero(table.frame_sample == sample)
        steps = np.diff(table.frame_number[inside])
        starts[inside[0]] = True
        if len(steps):
            starts[inside[1:]] = steps > steps.min()
    return np.cumsum(starts)


def _from_table(
    table: pose_table.PoseTable, person: np.ndarray, people: list, key: str, tag: str, video: bool
) -> Outgoing:
    on_frame: list[list[Pose]] = [[] for _ in table.frame_ids]
    unknown = np.isnan(table.confidence).any(axis=-1)
    labels: list[list[str]] = [[] for _ in table.frame_ids]
    for i, frame in enumerate(table.pose_frame.tolist()):
        on_frame[frame].append(
            Pose(
                table.points[i],
                table.visibility[i],
                confidence=None if unknown[i] else table.confidence[i],
                track_id=int(person[i]) if person[i] >= 0 else None,
            )
        )
        labels[frame].append(table.label_ids[i])
    sizes = table.sizes[table.frame_sample]
    if np.isnan(sizes).any():
        lost = table.filepaths[table.frame_sample[np.flatnonzero(np.isnan(sizes).any(axis=1))[0]]]
        raise DatasetError(f"The width and height of {lost} are not known: can it be read?")
    return Outgoing(
        frame_ids=table.frame_ids,
        sample_ids=[table.sample_ids[s] for s in table.frame_sample],
        tag=tag,
        names=[f"{key}_{tag}_{number:06d}" for number in range(1, len(table.frame_ids) + 1)],
        sizes=[(int(w), int(h)) for w, h in sizes],
        filepaths=[table.filepaths[s] for s in table.frame_sample],
        numbers=[int(n) if video else None for n in table.frame_number],
        poses=on_frame,
        label_ids=labels,
        people=people,
    )


def of_classes(view: Any, field: str, classes: list[str]) -> Any:
    """Leave labels of other classes out, as other backends do; one without a class is kept."""
    asked = fo.ViewField("label").is_in(classes) | ~fo.ViewField("label").exists()
    return view.filter_labels(path(view, field), asked, only_matches=False)


def declare_field(view: Any, field: str) -> None:
    """Declare the run's keypoint field where it is new."""
    dataset = source_dataset(view)
    known, add = (
        (dataset.has_frame_field, dataset.add_frame_field)
        if is_video(view)
        else (dataset.has_sample_field, dataset.add_sample_field)
    )
    if not known(field):
        add(field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Keypoints)
