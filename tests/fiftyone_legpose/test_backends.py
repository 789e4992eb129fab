"""Runtimes get the device that they run on."""

from fiftyone_legpose import backends
from fiftyone_legpose.zoo.weights import find_weights


def test_openvino_runs_on_the_cpu_beside_a_gpu(monkeypatch):
    asked = []
    pick = backends._pick_device
    monkeypatch.setattr(backends, "_pick_device", lambda d: asked.append(d) or pick("cpu"))
    monkeypatch.setattr(backends, "_installed", lambda name: True)
    monkeypatch.setattr(backends, "_exported", lambda *_: None)
    monkeypatch.setattr(backends, "_openvino", lambda _: None)
    model = backends.PoseModel(find_weights(), backend="openvino", device="auto")
    assert asked == ["cpu"]
    assert model.batch == 1
