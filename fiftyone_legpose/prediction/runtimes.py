"""The pose model behind one call, on the fastest runtime there is: frames in, raw poses out."""

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Any, get_args

import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.errors import MissingToolError, WeightsError
from fiftyone_legpose.prediction.flip_test import CANDIDATE_SHARE, merge
from fiftyone_legpose.prediction.inference import Backend, Inference
from fiftyone_legpose.prediction.networks import load_network
from fiftyone_legpose.prediction.person_scale import TIMES
from fiftyone_legpose.prediction.raw_poses import PreparedFrame, RawPoses
from fiftyone_legpose.prediction.voting import VOTER_SHARE, vote
from fiftyone_legpose.zoo.devices import find_device
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import (
    Weights,
    has_coco_keypoints,
    keypoint_shape,
    load_yolo,
    trained_imgsz,
)

_PACKAGES = {"openvino": ["openvino"], "onnx": ["onnx", "onnxruntime"], "tensorrt": ["tensorrt"]}
_INSTALL = {
    "openvino": "pip install openvino",
    "onnx": "pip install 'fiftyone-legpose[onnx]'",
    "tensorrt": "pip install tensorrt",
}
# ultralytics' defaults for `yolo pose predict`: box overlap for NMS, persons a frame.
_NMS_IOU = 0.7
_MAX_PERSONS = 300
# One frame keeps all cores of a CPU busy; a larger batch only holds more frames in memory.
_CPU_BATCH = 1
_GPU_BATCH = 32


class PoseModel:
    """A pose model on one runtime.

    Parameters
    ----------
    weights
        Checked weights.
    inference
        What it is asked, and on what it runs. `Inference.conf` may be another one later: assign
        a new value to the attribute `inference`. Voting changes nothing with weights that go
        without NMS, which say once what they say of a person, nor with COCO's keypoints.

    Raises
    ------
    MissingToolError
        The package of the runtime asked for is not installed.
    """

    def __init__(self, weights: Weights, inference: Inference):
        import_ultralytics()
        from ultralytics.data.augment import LetterBox

        self.weights = weights
        self.inference = inference
        # Ours runs OpenVINO on the CPU, beside a GPU too.
        on_cpu = inference.backend == "openvino"
        self.device = _pick_device("cpu" if on_cpu else inference.device)
        self.backend = _pick_backend(inference.backend, self.device)
        pictures = 2 if inference.flip_test else 1
        self.batch = _CPU_BATCH if self.device.type == "cpu" else _GPU_BATCH // pictures
        yolo = load_yolo(weights)
        # YOLO26 can do without NMS, and weights may be saved set to it. With NMS, which `yolo
        # predict` and exports choose too, all runtimes agree; weights saved fused have no choice.
        yolo.model.end2end = False
        self._end2end = bool(yolo.model.end2end)
        self._keypoint_shape = keypoint_shape(yolo)
        self._is_coco = has_coco_keypoints(yolo)
        if self._is_coco and inference.flip_test:
            raise WeightsError(
                f"{weights.name} has no heels and feet, which the flip test compares: predict "
                "without it."
            )
        self._class_count = len(yolo.names)
        self.side: int = inference.imgsz or trained_imgsz(yolo)
        # The rectangle that holds the picture, not a square: 1.7 times fewer pixels at 16:9.
        stride = int(max(yolo.model.stride))
        self._letterbox = cache(lambda side: LetterBox((side, side), auto=True, stride=stride))
        # A TensorRT engine takes no input larger than the one that it was built for.
        engine = self.backend == "tensorrt" and inference.close_look
        side = self.side * (max(TIMES) if engine else 1)
        largest = self.batch * pictures
        self._start = load_network(weights, yolo, self.backend, self.device, side, largest)

    def prepare(self, frame: np.ndarray, side: int | None = None) -> PreparedFrame:
        """Scale and pad a frame for the network; safe to call from another thread.

        Parameters
        ----------
        frame
            Shape (H, W, 3), BGR.
        side
            Longer side of the input in px, a multiple of 32; None is `side` of the model.
        """
        height, width = frame.shape[:2]
        return PreparedFrame(self._letterbox(side or self.side)(image=frame), (height, width))

    def infer(
        self, frames: Sequence[PreparedFrame], asked: Inference | None = None
    ) -> list[RawPoses]:
        """Find the persons in prepared frames.

        Parameters
        ----------
        frames
            From `prepare`; neighbours of one shape go through the model together.
        asked
            Instead of `inference`, of which `conf`, `voting` and `flip_test` count.

        Returns
        -------
        list of RawPoses
            One a frame, persons by falling confidence.
        """
        return self.begin(frames, asked)()

    def begin(
        self, frames: Sequence[PreparedFrame], asked: Inference | None = None
    ) -> Callable[[], list[RawPoses]]:
        """Start the model on prepared frames; the result is what `infer` returns.

        OpenVINO works on while the caller goes on with something else, so that what Python does
        with one frame costs no time of the next. At most two calls may be under way.

        Parameters
        ----------
        frames, asked
            As `infer` takes them.

        Returns
        -------
        callable
            Waits, and gives a list of RawPoses.
        """
        asked = asked or self.inference
        groups = [list(g) for _, g in groupby(frames, key=lambda frame: frame.pixels.shape)]
        first = self._begin(groups[0], asked) if groups else None

        def finish() -> list[RawPoses]:
            found = first() if first else []
            return found + [raw for group in groups[1:] for raw in self._begin(group, asked)()]

        return finish

    def _begin(self, frames: list[PreparedFrame], asked: Inference) -> Callable[[], list[RawPoses]]:
        import torch

        stacked = np.stack([frame.pixels for frame in frames])
        with torch.inference_mode():
            batch = torch.from_numpy(stacked).to(self.device).permute(0, 3, 1, 2).contiguous()
            batch = batch.flip(1).float().div_(255)  # BGR to RGB, cheap once planes are dense
            if asked.flip_test:
                batch = torch.cat([batch, batch.flip(-1)])
            output = self._start(batch)

        def finish() -> list[RawPoses]:
            with torch.inference_mode():
                inner = tuple(batch.shape[2:])
                found = self._find(output(), inner, [f.shape for f in frames], asked)
            if not asked.flip_test:
                return found
            both = zip(found[: len(frames)], found[len(frames) :], strict=True)
            return [merge(*pair, conf=asked.conf) for pair in both]

        return finish

    def _find(
        self,
        output: Any,
        inner: tuple[int, ...],
        shapes: list[tuple[int, int]],
        asked: Inference,
    ) -> list[RawPoses]:
        """Find the persons in what the network puts out; with the flip test mirrored ones last."""
        from ultralytics.utils import nms

        conf = asked.conf * (CANDIDATE_SHARE if asked.flip_test else 1)

        def to_raw(found: Any) -> list[RawPoses]:
            return [
                self._to_raw(persons, inner, shapes[i % len(shapes)], mirrored=i >= len(shapes))
                for i, persons in enumerate(found)
            ]

        # Weights that go without NMS answer once a person: there is nobody to vote.
        voting = asked.voting and not self._end2end and not self._is_coco
        candidates = self._candidates(output, conf * VOTER_SHARE) if voting else []
        found = to_raw(
            nms.non_max_suppression(
                output,
                conf,
                _NMS_IOU,
                max_det=_MAX_PERSONS,
                nc=self._class_count,
                end2end=self._end2end,
            )
        )
        if not voting:
            return found
        both = zip(found, to_raw(candidates), strict=True)
        return [vote(*pair, overlap=_NMS_IOU) for pair in both]

    def _candidates(self, output: Any, conf: float) -> list[Any]:
        """Return all of a confidence above `conf`, a frame, in rows like those that NMS returns.

        NMS itself would return them at an overlap of 1, in a millisecond and more.
        """
        import torch
        from ultralytics.utils import ops

        batch = output[0] if isinstance(output, list | tuple) else output
        values = 4 + self._class_count
        candidates = []
        for rows in batch.transpose(-1, -2):
            scores, classes = rows[:, 4:values].max(dim=1, keepdim=True)
            chosen = scores[:, 0] > conf
            boxes = ops.xywh2xyxy(rows[chosen, :4])
            parts = [boxes, scores[chosen], classes[chosen].float(), rows[chosen, values:]]
            candidates.append(torch.cat(parts, dim=1))
        return candidates

    def _to_raw(
        self,
        persons: Any,
        inner: tuple[int, ...],
        shape: tuple[int, int],
        *,
        mirrored: bool = False,
    ) -> RawPoses:
        from ultralytics.utils import ops

        assert self._keypoint_shape is not None  # load_yolo refuses anything else
        count, values = self._keypoint_shape
        boxes, keypoints = persons[:, :4], persons[:, 6:].view(-1, count, values)
        if mirrored:
            # Here, and not in px of the frame: padding may be a pixel wider on one side.
            boxes, keypoints = boxes[:, [2, 1, 0, 3]], keypoints[:, list(legs.FLIP_INDEX)]
            boxes[:, ::2] = inner[1] - boxes[:, ::2]
            keypoints[..., 0] = inner[1] - keypoints[..., 0]
        boxes = ops.scale_boxes(inner, boxes, shape)
        keypoints = ops.scale_coords(inner, keypoints, shape)
        found = keypoints.cpu().numpy().astype(np.float64)
        if self._is_coco:
            found = _legs_of_coco(found)
        elif self.weights.right_first:
            found = found[:, legs.RIGHT_FIRST]
        return RawPoses(
            boxes=boxes.cpu().numpy().astype(np.float64),
            scores=persons[:, 4].cpu().numpy().astype(np.float64),
            points=found[..., :2],
            confidence=found[..., 2] if values == 3 else None,
        )


def _legs_of_coco(found: np.ndarray) -> np.ndarray:
    """Take the legs (N, 10, 3) of COCO's keypoints (N, 17, 3); heels and feet have no place."""
    taken = np.full((len(found), len(legs.KEYPOINTS), found.shape[2]), np.nan)
    taken[:, : len(legs.COCO_INDEX)] = found[:, legs.COCO_INDEX]
    taken[:, len(legs.COCO_INDEX) :, 2] = 0
    return taken


def available_backends() -> dict[str, str | None]:
    """List the runtimes, fastest first on a CPU, each with how to install it or None if it is."""
    missing: dict[str, str | None] = {
        name: None if _installed(name) else _INSTALL[name] for name in _PACKAGES
    }
    return {**missing, "torch": None}


def _pick_device(device: str) -> Any:
    from ultralytics.utils.torch_utils import select_device

    return select_device(find_device(device), verbose=False)


def check_backend(backend: str) -> None:
    """Raise MissingToolError if there is no such runtime."""
    if backend not in get_args(Backend):
        raise MissingToolError(
            f"There is no backend {backend!r}: take one of {', '.join(get_args(Backend))}."
        )


def _pick_backend(backend: str, device: Any) -> str:
    check_backend(backend)
    if backend == "auto":
        fast = ["tensorrt"] if device.type == "cuda" else ["openvino", "onnx"]
        usable = [name for name in fast if _installed(name)] if device.type != "mps" else []
        return usable[0] if usable else "torch"
    if backend != "torch" and not _installed(backend):
        raise MissingToolError(
            f"Backend {backend!r} is not installed: run `{_INSTALL[backend]}`, or take "
            "backend='auto'."
        )
    return backend


def _installed(backend: str) -> bool:
    return all(importlib.util.find_spec(package) for package in _PACKAGES[backend])
