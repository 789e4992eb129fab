"""Videos and pictures with the skeletons drawn in."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np

from cvat_bridge.names import plain_name
from cvat_bridge.poses import Pose
from fiftyone_legpose import errors
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.dataset.file_names import file_names
from fiftyone_legpose.dataset.frames import dataset_id, source_dataset
from fiftyone_legpose.files import file_sha256, writing
from fiftyone_legpose.pose.drawing import draw_poses
from fiftyone_legpose.privacy.audit import hand_over
from fiftyone_legpose.privacy.masks import read_masks
from fiftyone_legpose.privacy.modes import Mode
from fiftyone_legpose.privacy.stills import Policy, PrivacyError, check_still, refused_still
from fiftyone_legpose.progress import Report, reporting
from fiftyone_legpose.videos import decoding
from fiftyone_legpose.videos.encoding import write_video

logger = logging.getLogger(__name__)


def write_annotated_videos(
    view: Any,
    folder: str | Path,
    *,
    label_field: str = fields.PREDICTIONS,
    privacy: Mode = "blacken",
    crop_below: float = 0.0,
    progress: Report | bool | None = None,
) -> list[Path]:
    """Write each video of a view with its skeletons as H.264, which browsers play.

    Parameters
    ----------
    view
        Video collection.
    folder
        Where ``<video>_legpose.mp4`` go; existing ones are replaced.
    label_field
        Bare name of the keypoint field to draw.
    privacy
        ``blacken`` burns faces and upper bodies black, ``refuse`` leaves out a video that shows
        any, ``off`` looks at nothing.
    crop_below
        Share of the picture's height, from its top, that is black, as are the rectangles in the
        field ``privacy_mask``.
    progress
        See `fiftyone_legpose.progress.reporting`.

    Returns
    -------
    list of Path
        One a video that could be decoded; for another there is a warning.

    Raises
    ------
    DatasetError
        The system refuses a file, or no video can be decoded.
    """
    target = Path(folder).expanduser()
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
    policy, masks = Policy(privacy, crop_below), read_masks(source_dataset(view))
    written: list[Path] = []
    failed: list[str] = []
    names = file_names(view)
    with reporting("save video", progress) as report:
        for number, sample in enumerate(view.select_fields(f"frames.{label_field}")):
            source = Path(sample.filepath)
            name = Path(names[number]).stem
            report(number, len(view), name)
            output = _free_name(target, name, written)
            size = (sample.metadata.frame_width, sample.metadata.frame_height)
            found = {
                n: keypoint_labels.to_poses(frame[label_field], size)
                for n, frame in sample.frames.items()
            }
            try:
                drawn = _draw(source, found, sample, policy, masks.get(sample.id))
                with writing(output):
                    write_video(output, drawn, size, sample.metadata.frame_rate)
            except errors.UnreadableError as error:
                failed.append(f"{name}: {error}")
                logger.warning("No annotated video of %s", failed[-1])
                continue
            written.append(output)
        report(len(view), len(view), "done")
    if written:
        sums = {path.name: file_sha256(path) for path in written}
        hand_over("save_video", target, policy, sums, dataset=dataset_id(view))
    if failed and not written:
        raise errors.DatasetError(f"no annotated video could be saved ({'; '.join(failed[:3])})")
    return written


def _free_name(folder: Path, stem: str, taken: list[Path]) -> Path:
    """Name an output by its video; a second video of the same name gets a number."""
    path = folder / f"{stem}_legpose.mp4"
    number = 2
    names = {plain_name(other.name) for other in taken}
    while plain_name(path.name) in names:
        path = folder / f"{stem}_legpose_{number}.mp4"
        number += 1
    return path


def _draw(
    source: Path,
    found: Mapping[int, list[Pose]],
    sample: fo.Sample,
    policy: Policy,
    masks: np.ndarray | None,
) -> Iterator[np.ndarray]:
    """Give the frames of a video with their skeletons, and without what the policy hides."""
    for number, frame in _every_frame(source, sample.metadata.total_frame_count):
        people = found.get(number, [])
        still = check_still(frame, people, policy, masks)
        if policy.mode == "refuse" and still.verdict.reasons:
            raise PrivacyError([refused_still(still, f"{source.name} frame {number}")], number)
        yield draw_poses(still.picture, people)


def _every_frame(source: Path, count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a video; in the place of a frame that cannot be decoded comes the one before.

    Without it, what is drawn would come ever earlier than in the video.
    """
    last, picture = 0, None
    try:
        for number, decoded in decoding.read_frames(source, range(1, count + 1)):
            for missing in range(last + 1, number):
                yield missing, (decoded if picture is None else picture).copy()
            yield number, decoded.copy()
            last, picture = number, decoded
    except errors.UnreadableError:
        if picture is None:
            raise
