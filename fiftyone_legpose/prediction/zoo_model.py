"""The zoo entries as FiftyOne models: what `dataset.apply_model` runs."""

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fiftyone as fo
import fiftyone.core.models as fom
import numpy as np
from eta.core import web
from eta.core.config import Config

from fiftyone_legpose.dataset import keypoint_labels
from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.prediction.inference import SWITCHES, Inference
from fiftyone_legpose.prediction.looking import Looker
from fiftyone_legpose.prediction.runtimes import PoseModel
from fiftyone_legpose.zoo.weights import AUTHOR_NAME, find_weights

AUTHOR_URL = (
    "https://github.com/yankaizhao322/"
    "Fine-Tuned-YOLOv8-Pose-Lower-body-Keypoints-Motion-Tracking/raw/main/best.pt"
)


class _KeypointsField(str):
    """The key of the keypoints among a model's outputs.

    FiftyOne names the field of an output ``<label_field>_<key>`` where the caller gave one name.
    The keypoints belong into the very field that the caller named, the boxes beside it; a plain
    mapping from key to field works as for any model.
    """

    def __radd__(self, prefix: str) -> str:
        return prefix.removesuffix("_")


KEYPOINTS_KEY = _KeypointsField("keypoints")
BOXES_KEY = "boxes"


class LegPoseModelConfig(Config):
    """What `foz.load_zoo_model` takes for these entries.

    Parameters
    ----------
    d
        ``weights`` (path or name), ``version`` (of the registry), ``trust`` (load an unknown
        checkpoint, which can run code), ``download`` (fetch the author's weights from their
        public address), ``right_first``, ``confidence_thresh``, which is `Inference.conf`, and the
        other options of `fiftyone_legpose.prediction.inference.Inference` by their names.
    """

    def __init__(self, d: dict[str, Any]):
        self.weights = self.parse_string(d, "weights", default=None)
        self.version = self.parse_string(d, "version", default=None)
        self.trust = self.parse_bool(d, "trust", default=False)
        self.download = self.parse_bool(d, "download", default=False)
        self.right_first = self.parse_bool(d, "right_first", default=None)
        default = Inference()
        self.backend = self.parse_string(d, "backend", default=default.backend)
        self.imgsz = self.parse_int(d, "imgsz", default=default.imgsz)
        self.confidence_thresh = self.parse_number(d, "confidence_thresh", default=default.conf)
        self.device = self.parse_string(d, "device", default=default.device)
        for name in (*SWITCHES, "plain"):
            setattr(self, name, self.parse_bool(d, name, default=getattr(default, name)))

    @property
    def inference(self) -> Inference:
        """What the network is asked, and on what it runs."""
        return Inference(
            conf=self.confidence_thresh,
            imgsz=self.imgsz,
            backend=self.backend,
            device=self.device,
            **{name: getattr(self, name) for name in (*SWITCHES, "plain")},
        )


class LegPoseModel(fom.Model):
    """Ten leg keypoints a person, for images and for frames of videos.

    With ``label_field="legpose"`` the keypoints go into ``legpose`` and the boxes into
    ``legpose_boxes``; with a mapping such as ``{"keypoints": "a", "boxes": "b"}`` where it says.
    FiftyOne 1.22 takes a mapping for images alone, and one name for videos.

    Parameters
    ----------
    config
        See `LegPoseModelConfig`.

    Raises
    ------
    WeightsError
        The weights are missing, unknown and not trusted, no checkpoint, or have other keypoints.
    """

    def __init__(self, config: LegPoseModelConfig):
        self.config = config
        if config.download:
            _download_author(trust=config.trust)
        weights = find_weights(
            config.weights,
            version=config.version,
            trust=config.trust,
            right_first=config.right_first,
        )
        self._looker = Looker(PoseModel(weights, config.inference))

    @property
    def media_type(self) -> str:
        """The kind of media: single pictures."""
        return "image"

    @property
    def ragged_batches(self) -> bool:
        """Whether pictures of a batch must be alike; they need not."""
        return False

    @property
    def transforms(self) -> None:
        """No transform is needed: pictures are scaled inside."""
        return

    @property
    def preprocess(self) -> bool:
        """Whether transforms are applied; there are none."""
        return False

    @preprocess.setter
    def preprocess(self, value: bool) -> None:
        pass

    def predict(self, arg: np.ndarray) -> dict[str, fo.Label]:
        """Find the legs in one RGB picture of shape (H, W, 3)."""
        return self.predict_all([arg])[0]

    def predict_all(self, args: Any) -> list[dict[str, fo.Label]]:
        """Find the legs in RGB pictures of shape (H, W, 3) each."""
        # Whoever has the model may raise the threshold of its configuration between two calls.
        conf = self.config.confidence_thresh
        self._looker.model.inference = replace(self._looker.asked, conf=conf)
        pictures = [np.ascontiguousarray(np.asarray(arg)[..., ::-1]) for arg in args]
        found = self._looker.look(pictures)
        labels = []
        for picture, raw in zip(pictures, found, strict=True):
            size = (picture.shape[1], picture.shape[0])
            keypoints, boxes = keypoint_labels.predicted_labels(
                raw.boxes, raw.scores, raw.points, raw.confidence, size
            )
            labels.append({KEYPOINTS_KEY: keypoints, BOXES_KEY: boxes})
        return labels


def _download_author(*, trust: bool) -> None:
    """Fetch the author's published weights to where `find_weights` looks for them."""
    if not trust:
        raise WeightsError(
            "The author's weights are a checkpoint from the network, which can run code when it "
            "is loaded. If that is all right, say trust=True (--trust)."
        )
    target = Path(fo.config.model_zoo_dir) / f"{AUTHOR_NAME}.pt"
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as scratch:
        part = Path(scratch) / "part.pt"
        try:
            web.download_file(AUTHOR_URL, path=str(part), quiet=True)
        except Exception as error:  # eta documents no set of errors
            raise WeightsError(
                f"The author's weights could not be fetched from {AUTHOR_URL} ({error}). "
                "Download best.pt by hand and give its path as weights=."
            ) from error
        os.replace(part, target)
