"""Runtimes get the device that they run on, and what they give is read as it is meant."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import fiftyone as fo
import numpy as np
import pytest

from fiftyone_legpose.prediction import networks, runtimes
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import find_weights
from tests.fiftyone_legpose.untrained import untrained


def test_openvino_runs_on_the_cpu_beside_a_gpu(monkeypatch):
    asked = []
    pick = runtimes._pick_device
    monkeypatch.setattr(runtimes, "_pick_device", lambda d: asked.append(d) or pick("cpu"))
    monkeypatch.setattr(runtimes, "_installed", lambda name: True)
    monkeypatch.setattr(networks, "_exported", lambda *_: None)
    monkeypatch.setattr(networks, "_openvino", lambda _: None)
    model = runtimes.PoseModel(find_weights(), Inference(backend="openvino", device="auto"))
    assert asked == ["cpu"]
    assert model.batch == 1


class ReusingNetwork:
    """Puts one person on each picture, as far right as it is bright, into memory that it reuses.

    So does ultralytics' TensorRT, which gives the buffers that the engine is bound to.
    """

    def __init__(self, *_, **__):
        import torch

        self.memory = torch.zeros(0)

    def eval(self):
        return self

    def __call__(self, batch):
        import torch

        values = torch.zeros(len(batch), 4 + 1 + 30, 2)
        values[:, :4, 0] = torch.tensor([50.0, 50.0, 40.0, 40.0])
        values[:, 4, 0] = 0.9
        values[:, 5::3, 0] = batch.mean((1, 2, 3))[:, None] * 100
        self.memory.resize_(values.shape).copy_(values)
        return self.memory


class ReusingNetworkOfSeveralOutputs(ReusingNetwork):
    def __call__(self, batch):
        return [super().__call__(batch), self.memory]


@pytest.mark.parametrize("network", [ReusingNetwork, ReusingNetworkOfSeveralOutputs])
def test_a_batch_keeps_its_poses_when_the_next_has_begun(monkeypatch, network):
    import_ultralytics()
    import ultralytics.models.yolo  # noqa: F401  (takes the true AutoBackend, for other tests)

    monkeypatch.setattr("ultralytics.nn.autobackend.AutoBackend", network)
    monkeypatch.setattr(runtimes, "_installed", lambda name: True)
    monkeypatch.setattr(networks, "_exported", lambda *_: Path("legs.engine"))
    model = runtimes.PoseModel(
        find_weights(), Inference(backend="tensorrt", imgsz=128, device="cpu")
    )
    dark, bright = (
        model.begin([model.prepare(np.full((128, 128, 3), shade, np.uint8))]) for shade in (0, 204)
    )
    for finish, x in ((dark, 0), (bright, 80)):
        [raw] = finish()
        assert raw.points[0, :, 0] == pytest.approx(x, abs=0.1)


def test_an_engine_takes_the_batches_that_it_will_get(monkeypatch):
    asked = []

    def export(**options):
        asked.append(options)
        engine = Path(yolo.ckpt_path).with_suffix(".engine")
        engine.write_text("engine")
        return engine

    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "Test GPU")
    yolo = SimpleNamespace(export=export, model=SimpleNamespace())
    made = [networks._exported(find_weights(), yolo, "tensorrt", 128, n) for n in (32, 32, 16)]
    assert [options["batch"] for options in asked] == [32, 16]
    assert made[0] == made[1] != made[2]


def test_one_engine_does_with_and_without_mirrored_frames(monkeypatch):
    import_ultralytics()
    import ultralytics.models.yolo  # noqa: F401  (takes the true AutoBackend, for other tests)

    asked = []

    def exported(weights, yolo, backend, imgsz, batch):
        asked.append(batch)
        return Path("legs.engine")

    on_gpu = SimpleNamespace(type="cuda")
    monkeypatch.setattr(runtimes, "_pick_device", lambda device: on_gpu)
    monkeypatch.setattr("ultralytics.nn.autobackend.AutoBackend", ReusingNetwork)
    monkeypatch.setattr(runtimes, "_installed", lambda name: True)
    monkeypatch.setattr(networks, "_exported", exported)
    options = {"backend": "tensorrt", "imgsz": 128}
    plain = runtimes.PoseModel(find_weights(), Inference(**options))
    tested = runtimes.PoseModel(find_weights(), Inference(flip_test=True, **options))
    assert plain.batch == 2 * tested.batch
    assert asked == [plain.batch] * 2


@pytest.mark.parametrize("saved", ["new", "set to go without NMS", "fused to go without NMS"])
def test_yolo26_finds_what_ultralytics_finds_with_it(tmp_path, saved):
    path = untrained(tmp_path / "legs26.pt", "yolo26n-pose.yaml")
    if saved != "new":
        yolo = import_ultralytics().YOLO(str(path))
        yolo.model.end2end = True
        if saved.startswith("fused"):
            yolo.model.fuse()
        yolo.save(path)
    weights = find_weights(path, trust=True)
    # Without NMS an export asks for the best 300 places, which smaller pictures do not have.
    picture = np.random.default_rng(0).integers(0, 256, (128, 160, 3), np.uint8)
    options = {"imgsz": 160, "conf": 0.001}
    yolo = import_ultralytics().YOLO(str(weights.path))
    [expected] = yolo.predict(picture, device="cpu", verbose=False, **options)
    assert len(expected) > 1
    for backend in ("torch", "openvino"):
        model = runtimes.PoseModel(weights, Inference(backend=backend, device="cpu", **options))
        [raw] = model.infer([model.prepare(picture)])
        assert raw.points.shape == (len(expected), 10, 2)
        assert np.allclose(raw.scores, expected.boxes.conf, atol=1e-4)
        ours = np.hstack([raw.boxes, raw.points.reshape(-1, 20)])
        theirs = np.hstack([expected.boxes.xyxy, expected.keypoints.xy.reshape(-1, 20)])
        # Random scores are so close that persons may change places.
        assert np.abs(ours[:, None] - theirs).max(-1).min(-1).max() < 0.1


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no such signals")
def test_a_model_may_end_in_another_thread_than_it_began_in():
    script = """
        import os, signal, threading
        from fiftyone_legpose.prediction.inference import Inference
        from fiftyone_legpose.prediction.runtimes import PoseModel
        from fiftyone_legpose.zoo.weights import find_weights

        models = [PoseModel(find_weights(), Inference(backend="openvino", imgsz=64))]
        thread = threading.Thread(target=models.clear)
        thread.start()
        thread.join()
        signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
        os.kill(os.getpid(), signal.SIGUSR1)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["handled"]), done.stderr


def test_the_first_use_of_weights_is_quiet(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path))
    import_ultralytics()
    capfd.readouterr()  # it tells of its settings file, the first time on a machine
    runtimes.PoseModel(find_weights(), Inference(backend="openvino", imgsz=64))
    assert list(tmp_path.rglob("*.xml"))
    assert capfd.readouterr() == ("", "")
