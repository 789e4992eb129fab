import pytest

from fiftyone_legpose import doctor


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_doctor_proposes_no_package_that_the_system_does_not_have(system, monkeypatch):
    def missing(name):
        raise ImportError("DLL load failed")

    monkeypatch.setattr(doctor.platform, "system", lambda: system)
    monkeypatch.setattr(doctor.importlib, "import_module", missing)
    [finding] = doctor._opencv()
    assert finding.remedy == "Run: pip install --force-reinstall opencv-python"
