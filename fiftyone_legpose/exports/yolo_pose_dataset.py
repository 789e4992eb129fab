"""YOLO-pose as a FiftyOne dataset type, for `dataset.export` and `fo.Dataset.from_dir`.

>>> dataset.export("out", dataset_type=YOLOPoseDataset, label_field="ground_truth", split="train")
>>> fo.Dataset.from_dir("out", dataset_type=YOLOPoseDataset, split="train", tags="train")

FiftyOne itself cannot write the format and reads a line of it as a polygon.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou
import fiftyone.types as fot
import fiftyone.utils.data as foud
import numpy as np

from cvat_bridge.poses import Pose
from cvat_bridge.yolo_pose import (
    Flavour,
    Frame,
    PoseSet,
    mirrored,
    read_yolo_pose,
    write_yolo_pose,
)
from fiftyone_legpose import legs
from fiftyone_legpose.dataset.frames import dataset_id, source_dataset
from fiftyone_legpose.dataset.keypoint_labels import LABEL, to_keypoints, to_poses
from fiftyone_legpose.dataset.pictures import image_metadata
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.files import file_sha256
from fiftyone_legpose.privacy.audit import hand_over
from fiftyone_legpose.privacy.masks import read_masks
from fiftyone_legpose.privacy.modes import Mode
from fiftyone_legpose.privacy.pictures import copy_picture
from fiftyone_legpose.privacy.stills import Policy, PrivacyError, RefusedStill, refused_still

logger = logging.getLogger(__name__)

# FiftyOne and the format agree: coordinates are shares of the picture.
_SHARES = (1, 1)


class YOLOPoseDataset(fot.LabeledImageDataset):  # type: ignore[misc]
    """Pictures with `fo.Keypoints`, as ultralytics trains on and CVAT imports and exports."""

    def get_dataset_importer_cls(self) -> type:
        """Name the importer."""
        return YOLOPoseDatasetImporter

    def get_dataset_exporter_cls(self) -> type:
        """Name the exporter."""
        return YOLOPoseDatasetExporter


class YOLOPoseDatasetExporter(  # type: ignore[misc]
    foud.LabeledImageDatasetExporter, foud.ExportPathsMixin
):
    """Writes one split; exports of other splits into the same folder join it.

    A sample whose label is None was not looked at and is left out; empty keypoints say that
    nobody is there, and ultralytics learns from that. Keypoint confidences are not written.

    Parameters
    ----------
    export_dir
        Folder.
    split
        Name of the subset, for ultralytics ``"train"``, ``"val"`` or ``"test"``.
    export_media
        True copies the pictures, ``"move"`` and ``"symlink"`` as they say, False writes labels
        only.
    rel_dir
        Folder whose structure the exported pictures keep.
    classes
        Class names; by default the labels of the keypoints in the order of their first use.
    flip_index
        Index of the keypoint that each one becomes in a mirrored picture; by default from the
        words left and right in the names of the dataset's skeleton.
    box_margin
        Added on each side of a box around the points, as a share of its longer side.
    flavour
        See `cvat_bridge.yolo_pose.write_yolo_pose`. In ``"ultralytics"`` a point outside of its
        picture becomes absent (v = 0); ``"cvat"`` keeps it.
    privacy
        What copied pictures may show: ``"refuse"`` exports nothing where one shows a face or more
        than legs, ``"blacken"`` burns that black, ``"off"`` looks at nothing. None refuses where
        the skeleton is that of legs. Copies carry no metadata in any mode; pictures that are moved
        or linked stay what they are.
    crop_below
        Share of each copy's height, from its top, that is black, as are the rectangles in the field
        ``privacy_mask``.

    Raises
    ------
    PrivacyError
        When it is closed, if pictures are refused: the export holds none then.
    """

    def __init__(
        self,
        export_dir: str | None = None,
        split: str = "train",
        export_media: bool | str | None = None,
        rel_dir: str | None = None,
        classes: Sequence[str] | None = None,
        flip_index: Sequence[int] | None = None,
        box_margin: float = 0.0,
        flavour: Flavour = "ultralytics",
        privacy: Mode | None = None,
        crop_below: float = 0.0,
    ):
        super().__init__(export_dir=export_dir)
        if export_dir is None:
            raise DatasetError("Say where to write: export_dir.")
        self.split = split
        self.export_media = True if export_media is None else export_media
        self.rel_dir = rel_dir
        self.classes = classes
        self.flip_index = flip_index
        self.box_margin = box_margin
        self.flavour = flavour
        self.privacy = privacy
        self.crop_below = crop_below
        self._masks: dict[str, np.ndarray] = {}
        self._refused: list[RefusedStill] = []
        self._blackened = 0
        self._dataset: str | None = None
        self._frames: dict[str, Frame] = {}
        self._skeletons: list[list[str]] = []
        self._left_out = 0

    @property
    def requires_image_metadata(self) -> bool:
        """FiftyOne reads the size of a picture where it is not known yet."""
        return True

    @property
    def label_cls(self) -> type:
        """The label that is exported."""
        return fo.Keypoints

    def setup(self) -> None:
        """Refuse a split that is there already, before pictures are copied."""
        folder = Path(self.export_dir)
        if (folder / "data.yaml").exists() and (folder / f"{self.split}.txt").exists():
            raise DatasetError(
                f"{folder} has the split {self.split!r} already. Pass overwrite=True to begin "
                "anew, or export into another folder."
            )
        self._folder = folder / "images" / self.split
        self._media = foud.ImageExporter(
            self.export_media,
            export_path=str(self._folder),
            rel_dir=self.rel_dir,
            supported_modes=(True, False, "move", "symlink"),
            ignore_exts=True,
        )
        self._media.setup()
        self._names = fou.UniqueFilenameMaker(
            str(self._folder), rel_dir=self.rel_dir, ignore_exts=True, ignore_existing=True
        )
        self._policy = Policy(self.privacy or "refuse", self.crop_below)

    def log_collection(self, sample_collection: Any) -> None:
        """Note the skeletons of the dataset: they name the keypoints."""
        known = [*sample_collection.skeletons.values(), sample_collection.default_skeleton]
        self._skeletons = [list(skeleton.labels) for skeleton in known if skeleton is not None]
        if self.privacy is None and self._skeletons and not self._knows_legs:
            self._policy = Policy("off", self.crop_below)
        dataset = source_dataset(sample_collection)
        masks = read_masks(dataset)
        paths = zip(*dataset.values(["id", "filepath"]), strict=True) if masks else ()
        self._masks = {path: masks[of] for of, path in paths if of in masks}
        self._dataset = dataset_id(dataset)

    def export_sample(self, image_or_path: Any, label: Any, metadata: Any = None) -> None:
        """Export one sample."""
        if label is None:
            self._left_out += 1
            return
        size = (metadata.width, metadata.height)
        poses = to_poses(label, size)
        if self.export_media is True and isinstance(image_or_path, str):
            path, name = self._copy(image_or_path, poses)
        else:
            path, name = self._media.export(image_or_path)
        if name in self._frames:
            raise DatasetError(f"Two samples are the picture {path}. Export it once.")
        labels = [keypoint.label or LABEL for keypoint in label.keypoints]
        self._frames[name] = Frame(name, poses, size, self.split, path, labels)

    def _copy(self, source: str, poses: list[Pose]) -> tuple[str, str]:
        """Copy a picture bare, where the policy lets it go; give the copy's path and name."""
        if self._names.seen_input_path(source):
            raise DatasetError(f"Two samples are the picture {source}. Export it once.")
        target = Path(self._names.get_output_path(source))
        target.parent.mkdir(parents=True, exist_ok=True)
        people = poses if self._knows_legs else []
        masks = self._masks.get(source)
        still = copy_picture(Path(source), target, self._policy, people, masks)
        self._blackened += still.blackened
        if self._policy.mode == "refuse" and still.verdict.reasons:
            self._refused.append(refused_still(still, Path(source).name))
        return str(target), target.relative_to(self._folder).with_suffix("").as_posix()

    @property
    def _knows_legs(self) -> bool:
        return list(legs.KEYPOINTS) in self._skeletons

    def close(self, *args: Any) -> None:
        """Write labels, list and data.yaml, if no error came before."""
        self._media.close()
        if args and args[0] is not None:
            return
        if self._refused:
            for frame in self._frames.values():
                Path(str(frame.image)).unlink(missing_ok=True)
            raise PrivacyError(self._refused, len(self._frames))
        if self._left_out:
            logger.warning("Left out %d samples without a label: not looked at", self._left_out)
        if not self._frames:
            raise DatasetError("No sample has keypoints or empty keypoints in the label field.")
        names = self._keypoint_names()
        flip = self.flip_index or (mirrored(names) if names else None)
        dataset = PoseSet(
            labels=self._labels(),
            keypoint_count=self._keypoint_count(),
            frames=self._frames,
            keypoint_names=tuple(names) if names else None,
            flip_index=tuple(flip) if flip else None,
        )
        written = write_yolo_pose(
            self.export_dir, dataset, flavour=self.flavour, box_margin=self.box_margin
        )
        if self.export_media is True:
            self._log()
        if written.cut_off or written.left_out:
            logger.warning(
                "%d keypoints outside of their picture are written as absent, %d persons with no "
                "keypoint in it are left out: ultralytics would drop the pictures",
                written.cut_off,
                written.left_out,
            )

    def _log(self) -> None:
        sums = {name: file_sha256(Path(str(frame.image))) for name, frame in self._frames.items()}
        facts = {"blackened": self._blackened, "dataset": self._dataset}
        hand_over("export", self.export_dir, self._policy, sums, **facts)

    def _labels(self) -> tuple[str, ...]:
        used = dict.fromkeys(label for frame in self._frames.values() for label in frame.labels)
        return tuple(self.classes or used or [LABEL])

    def _keypoint_count(self) -> int:
        poses = (pose for frame in self._frames.values() for pose in frame.poses)
        first = next(poses, None)
        if first is not None:
            return len(first.points)
        return len(self._skeletons[0]) if self._skeletons else len(legs.KEYPOINTS)

    def _keypoint_names(self) -> list[str] | None:
        fitting = [names for names in self._skeletons if len(names) == self._keypoint_count()]
        return fitting[0] if fitting and all(names == fitting[0] for names in fitting) else None


class YOLOPoseDatasetImporter(foud.LabeledImageDatasetImporter):  # type: ignore[misc]
    """Reads one split, or all: also exports of CVAT, if they hold the pictures.

    Parameters
    ----------
    dataset_dir
        Folder. A zip becomes one by `cvat_bridge.archives.unpack`; FiftyOne's own `from_archive`
        expects another layout than that of CVAT's zips, and does not check them.
    split
        Name of the subset; None reads all.
    keypoint_names
        In order, for a dataset that does not say them, such as an export of CVAT.
    shuffle, seed, max_samples
        As in every importer of FiftyOne.
    """

    def __init__(
        self,
        dataset_dir: str | None = None,
        split: str | None = None,
        keypoint_names: Sequence[str] | None = None,
        shuffle: bool = False,
        seed: int | None = None,
        max_samples: int | None = None,
    ):
        super().__init__(
            dataset_dir=dataset_dir, shuffle=shuffle, seed=seed, max_samples=max_samples
        )
        self.split = split
        self.keypoint_names = keypoint_names
        self._frames: list[Frame] = []
        self._names: Sequence[str] | None = None

    def __iter__(self) -> Iterator[Any]:
        self._iterator = iter(self._frames)
        return self

    def __len__(self) -> int:
        return len(self._frames)

    def __next__(self) -> tuple[str, fo.ImageMetadata, fo.Keypoints]:
        frame = next(self._iterator)
        assert frame.image is not None
        path = str(Path(self.dataset_dir) / frame.image)
        people = [
            keypoint
            for pose, label in zip(frame.poses, frame.labels, strict=True)
            for keypoint in to_keypoints([pose], _SHARES, label=label).keypoints
        ]
        return path, image_metadata(path), fo.Keypoints(keypoints=people)

    @property
    def has_image_metadata(self) -> bool:
        """Sizes come along: the labels need them."""
        return True

    @property
    def has_dataset_info(self) -> bool:
        """Class names and, where known, the skeleton come along."""
        return True

    @property
    def label_cls(self) -> type:
        """The label that is imported."""
        return fo.Keypoints

    def setup(self) -> None:
        """Read the dataset."""
        read = read_yolo_pose(self.dataset_dir, subset=self.split, normalized=True)
        missing = [key for key, frame in read.frames.items() if frame.image is None]
        if missing:
            raise DatasetError(
                f"{self.dataset_dir} lacks the pictures of {len(missing)} frames, the first is "
                f"{missing[0]}. Export with images, or use import_labels to attach the labels to "
                "a dataset that has them."
            )
        if read.unlisted:
            logger.warning("Left out %d label files that no split lists", len(read.unlisted))
        names = self.keypoint_names or read.keypoint_names
        if names is not None and len(names) != read.keypoint_count:
            raise DatasetError(f"{len(names)} names for {read.keypoint_count} keypoints.")
        self._names = names
        self._classes = list(read.labels)
        self._frames = self._preprocess_list(list(read.frames.values()))

    def get_dataset_info(self) -> dict[str, Any]:
        """Return class names and skeleton."""
        info: dict[str, Any] = {"classes": self._classes}
        if self._names is not None:
            edges = legs.EDGES if tuple(self._names) == legs.KEYPOINTS else ()
            info["default_skeleton"] = {
                "labels": list(self._names),
                "edges": [list(edge) for edge in edges],
            }
        return info
