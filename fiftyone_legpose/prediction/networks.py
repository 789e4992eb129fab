"""A network on a runtime: exported for it once, and started on one batch after the other."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fiftyone as fo

from fiftyone_legpose.zoo.openvino_cpu import compile_fastest
from fiftyone_legpose.zoo.ultralytics import quiet
from fiftyone_legpose.zoo.weights import Weights

_FORMATS = {"openvino": "openvino", "onnx": "onnx", "tensorrt": "engine"}

Start = Callable[[Any], Callable[[], Any]]
"""Starts a network on a batch (B, 3, H, W) of float, RGB from 0 to 1; what it gives waits."""


def load_network(
    weights: Weights, yolo: Any, backend: str, device: Any, imgsz: int, batch: int
) -> Start:
    """Load the network of some weights on a runtime.

    Parameters
    ----------
    weights
        Checked weights.
    yolo
        The same, as ultralytics has loaded them.
    backend
        A runtime that is installed.
    device
        Torch's.
    imgsz
        Longer side of the input in px.
    batch
        The largest that will be asked for.

    Returns
    -------
    callable
        See `Start`. At most two batches may be under way.
    """
    if backend == "openvino":
        return _openvino(_exported(weights, yolo, backend, imgsz, batch))
    from ultralytics.nn.autobackend import AutoBackend

    model = yolo.model
    if backend != "torch":
        model = str(_exported(weights, yolo, backend, imgsz, batch))
    network = AutoBackend(model, device=device, verbose=False).eval()
    # TensorRT gives the memory that its next run writes into, and that is begun first.
    keep = _copied if backend == "tensorrt" else _identity
    return lambda pictures: partial(_identity, keep(network(pictures)))


def _identity(value: Any) -> Any:
    return value


def _copied(output: Any) -> Any:
    """Copy what a network gives: a tensor, or a list of them."""
    if isinstance(output, list | tuple):
        return [tensor.clone() for tensor in output]
    return output.clone()


def _openvino(folder: Path) -> Callable[[Any], Callable[[], Any]]:
    """Load an OpenVINO model."""
    import torch

    fastest = compile_fastest(next(folder.glob("*.xml")))
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
            asked = {"imgsz": imgsz, "dynamic": True, "verbose": False, **options}
            with quiet():
                made = Path(yolo.export(format=_FORMATS[backend], **asked))
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
