"""SLEAP: ``.slp`` projects and packages, read by sleap-io."""

from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from cvat_bridge.errors import FormatError
from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.label_files import LabelFile, short_names, without_suffix
from fiftyone_legpose.errors import MissingToolError


def read_sleap(path: Path) -> LabelFile:
    """Read what people have labelled; points are px of the frames.

    Frames are named ``<video>_<00001>``, or as their pictures. Predictions are left out, as the
    frames that have nothing else.

    Raises
    ------
    MissingToolError
        sleap-io is not installed.
    FormatError
        It cannot be read, or has no labels, or several skeletons.
    """
    try:
        import sleap_io
    except ImportError:
        raise MissingToolError(
            f"{path} needs sleap-io: pip install 'fiftyone-legpose[sleap]'."
        ) from None
    try:
        labels = sleap_io.load_slp(str(path), open_videos=False)
    except Exception as error:
        # Whatever h5py and sleap-io raise of a file that is none of SLEAP's.
        raise FormatError(f"{path} cannot be read by sleap-io: {error}.") from None
    if len(labels.skeletons) != 1:
        raise FormatError(f"{path} has {len(labels.skeletons)} skeletons; one is needed.")
    people: dict[str, list[Pose]] = defaultdict(list)
    for frame in labels.labeled_frames:
        for instance in frame.user_instances:
            points = np.asarray(instance.numpy(), float)
            seen = np.isfinite(points).all(axis=1)
            if seen.any():
                people[_name(frame.video, int(frame.frame_idx))].append(Pose(points, 2 * seen))
    if not people:
        raise FormatError(f"{path} has no labels made by a person.")
    return LabelFile(
        poses=dict(zip(short_names(list(people), path), people.values(), strict=True)),
        keypoint_count=len(labels.skeletons[0].node_names),
        keypoint_names=tuple(labels.skeletons[0].node_names),
        in_px=True,
        every_frame=True,
    )


def _name(video: Any, index: int) -> str:
    known = (video.source_video or video).filename
    if isinstance(known, list):
        return without_suffix(str(known[index]).replace("\\", "/").lstrip("/"))
    path = PurePosixPath(str(known).replace("\\", "/").lstrip("/"))
    return f"{path.with_suffix('')}_{index + 1:05d}"
