"""The pose model behind one call, on the fastest runtime there is: frames in, raw poses out."""

import importlib.util
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import cycle, groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import fiftyone as fo
import numpy as np

from fiftyone_legpose import legs
from fiftyone_legpose.errors import MissingToolError
from fiftyone_legpose.prediction.flip_test import CANDIDATE_SHARE, merge
from fiftyone_legpose.prediction.inference import Backend, Inference
from fiftyone_legpose.prediction.raw_poses import PreparedFrame, RawPoses
from fiftyone_legpose.prediction.voting import VOTER_SHARE, vote
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import Weights, keypoint_shape, load_yolo, trained_imgsz

_PACKAGES = {"openvino": ["openvino"], "onnx": ["onnx", "onnxruntime"], "tensorrt": ["tensorrt"]}
_FORMATS = {"openvino": "openvino", "onnx": "onnx", "tensorrt": "engine"}
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
# A typical input (16:9 at 640 px) and runs a precision is timed on before one is chosen.
_TRIAL_SHAPE = (1, 3, 384, 640)
_TRIAL_RUNS = 3


class PoseModel:
    """A pose model on one runtime.

    Parameters
    ----------
    weights
        Checked weights.
    inference
        What it is asked, and on what it runs. `Inference.conf` may be another one later: assign
        a new value to the attribute `inference`. Voting changes nothing with weights that go
        without NMS: they say once what they say of a person.

    Raises
    ------
    MissingToolError
        The package of the runtime asked for is not installed.
    """

    def __init__(self, weights: Weights, inference: Inference):
        import_ultralytics()
        from ultralytics.data.augment import LetterBox
        from ultralytics.nn.autobackend import AutoBackend

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
        self._class_count = len(yolo.names)
        side = inference.imgsz or trained_imgsz(yolo)
        # The rectangle that holds the picture, not a square: 1.7 times fewer pixels at 16:9.
        stride = int(max(yolo.model.stride))
        self._letterbox = LetterBox((side, side), auto=True, stride=stride)
        model: Any = yolo.model
        if self.backend != "torch":
            model = _exported(weights, yolo, self.backend, side, self.batch * pictures)
        self._start: Callable[[Any], Callable[[], Any]]
        if self.backend == "openvino":
            self._start = _openvino(model)
        else:
            model = model if self.backend == "torch" else str(model)
            network = AutoBackend(model, device=self.device, verbose=False).eval()
            # TensorRT gives the memory that its next run writes into, and that is begun first.
            keep = _copied if self.backend == "tensorrt" else _identity
            self._start = lambda batch: partial(_identity, keep(network(batch)))

    def prepare(self, frame: np.ndarray) -> PreparedFrame:
        """Scale and pad one BGR frame of shape (H, W, 3); safe to call from another thread."""
        height, width = frame.shape[:2]
        return PreparedFrame(self._letterbox(image=frame), (height, width))

    def infer(self, frames: Sequence[PreparedFrame]) -> list[RawPoses]:
        """Find the persons in prepared frames.

        Parameters
        ----------
        frames
            From `prepare`; neighbours of one shape go through the model together.

        Returns
        -------
        list of RawPoses
            One a frame, persons by falling confidence.
        """
        return self.begin(frames)()

    def begin(self, frames: Sequence[PreparedFrame]) -> Callable[[], list[RawPoses]]:
        """Start the model on prepared frames; the result is what `infer` returns.

        OpenVINO works on while the caller goes on with something else, so that what Python does
        with one frame costs no time of the next. At most two calls may be under way.

        Parameters
        ----------
        frames
            From `prepare`.

        Returns
        -------
        callable
            Waits, and gives a list of RawPoses.
        """
        groups = [list(g) for _, g in groupby(frames, key=lambda frame: frame.pixels.shape)]
        first = self._begin(groups[0]) if groups else None

        def finish() -> list[RawPoses]:
            found = first() if first else []
            return found + [raw for group in groups[1:] for raw in self._begin(group)()]

        return finish

    def _begin(self, frames: list[PreparedFrame]) -> Callable[[], list[RawPoses]]:
        import torch

        stacked = np.stack([frame.pixels for frame in frames])
        with torch.inference_mode():
            batch = torch.from_numpy(stacked).to(self.device).permute(0, 3, 1, 2).contiguous()
            batch = batch.flip(1).float().div_(255)  # BGR to RGB, cheap once planes are dense
            if self.inference.flip_test:
                batch = torch.cat([batch, batch.flip(-1)])
            output = self._start(batch)

        def finish() -> list[RawPoses]:
            with torch.inference_mode():
                found = self._find(output(), tuple(batch.shape[2:]), [f.shape for f in frames])
            if not self.inference.flip_test:
                return found
            both = zip(found[: len(frames)], found[len(frames) :], strict=True)
            return [merge(*pair, conf=self.inference.conf) for pair in both]

        return finish

    def _find(
        self, output: Any, inner: tuple[int, ...], shapes: list[tuple[int, int]]
    ) -> list[RawPoses]:
        """Find the persons in what the network puts out; with the flip test mirrored ones last."""
        from ultralytics.utils import nms

        asked = self.inference
        conf = asked.conf * (CANDIDATE_SHARE if asked.flip_test else 1)

        def to_raw(found: Any) -> list[RawPoses]:
            return [
                self._to_raw(persons, inner, shapes[i % len(shapes)], mirrored=i >= len(shapes))
                for i, persons in enumerate(found)
            ]

        # Weights that go without NMS answer once a person: there is nobody to vote.
        voting = asked.voting and not self._end2end
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
        if self.weights.right_first:
            found = found[:, legs.RIGHT_FIRST]
        return RawPoses(
            boxes=boxes.cpu().numpy().astype(np.float64),
            scores=persons[:, 4].cpu().numpy().astype(np.float64),
            points=found[..., :2],
            confidence=found[..., 2] if values == 3 else None,
        )


def available_backends() -> dict[str, str | None]:
    """List the runtimes, fastest first on a CPU, each with how to install it or None if it is."""
    missing: dict[str, str | None] = {
        name: None if _installed(name) else _INSTALL[name] for name in _PACKAGES
    }
    return {**missing, "torch": None}


def _pick_device(device: str) -> Any:
    import torch
    from ultralytics.utils.torch_utils import select_device

    if device == "auto":
        device = "0" if torch.cuda.is_available() else "cpu"
    return select_device(device, verbose=False)


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


def _identity(value: Any) -> Any:
    return value


def _copied(output: Any) -> Any:
    """Copy what a network gives: a tensor, or a list of them."""
    if isinstance(output, list | tuple):
        return [tensor.clone() for tensor in output]
    return output.clone()


@cache
def _openvino_core() -> Any:
    """Return the one core of OpenVINO, which keeps its CPU plugin until the process ends.

    The plugin gives the thread that loads it a stack for signals, and unmaps that when it is
    unloaded. Unloaded by the garbage collection of another thread, it leaves the first one without,
    and the next signal (Ctrl-C, or a data loader's worker that ends) kills the process.
    """
    import openvino

    return openvino.Core()


def _openvino(folder: Path) -> Callable[[Any], Callable[[], Any]]:
    """Load an OpenVINO model at the precision that is faster on this processor.

    OpenVINO takes bfloat16 wherever the processor knows it, also where the processor has no
    matrix unit for it: on such a Xeon it took 66 ms a frame, float32 41 ms.
    """
    import torch

    core = _openvino_core()
    model = core.read_model(next(folder.glob("*.xml")))
    trial = np.zeros(_TRIAL_SHAPE, np.float32)
    timed = []
    for precision in ("f32", "bf16"):
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        compiled = core.compile_model(model, "CPU", settings)
        compiled(trial)
        started = time.perf_counter()
        for _ in range(_TRIAL_RUNS):
            compiled(trial)
        timed.append((time.perf_counter() - started, compiled))
    _, fastest = min(timed, key=lambda pair: pair[0])
    requests = cycle([fastest.create_infer_request() for _ in range(2)])

    def start(batch: Any) -> Callable[[], Any]:
        request = next(requests)
        request.start_async({0: batch.numpy()}, share_inputs=True)

        def finish() -> Any:
            request.wait()
            # The request's memory is used again two frames on.
            return torch.from_numpy(request.get_output_tensor(0).data.copy())

        return finish

    return start


def _exported(weights: Weights, yolo: Any, backend: str, imgsz: int, batch: int) -> Path:
    """Export weights once for a runtime, into a cache keyed by the weights' sha256.

    `batch` is the largest that will be asked for, which only TensorRT needs to know.
    """
    import torch
    import ultralytics

    kind = backend
    options: dict[str, Any] = {}
    if backend == "tensorrt":
        # An engine is bound to its GPU and to the largest input it was built for, of pictures and
        # of their number: ultralytics builds it for one at a time unless told otherwise.
        options["batch"] = batch
        kind += f"-{torch.cuda.get_device_name(0)}-{imgsz}-{batch}".replace(" ", "_")
    folder = Path(fo.config.model_zoo_dir) / "legpose-exports" / weights.sha256
    target = folder / f"{kind}-ultralytics-{ultralytics.__version__}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as scratch:
            copy = Path(scratch) / "model.pt"
            shutil.copyfile(weights.path, copy)
            yolo.ckpt_path = str(copy)
            yolo.model.pt_path = str(copy)
            made = Path(
                yolo.export(
                    format=_FORMATS[backend], imgsz=imgsz, dynamic=True, verbose=False, **options
                )
            )
            part = Path(scratch) / "made"
            part.mkdir()
            # AutoBackend tells formats apart by the name, so the export keeps its own.
            os.replace(made, part / made.name)
            try:
                os.replace(part, target)
            except OSError:
                if not target.exists():  # another process exported the same meanwhile
                    raise
    return next(target.iterdir())
