import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cvat_bridge

PACKAGE = Path(cvat_bridge.__file__).parent
HEAVY = ("cvat_sdk", "fiftyone", "torch", "ultralytics", "cv2", "PIL")


def loaded_after(code: str) -> set[str]:
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_package_and_what_others_build_on_are_light():
    code = "import cvat_bridge, cvat_bridge.poses, cvat_bridge.skeleton; cvat_bridge.Pose"
    assert not loaded_after(code) & {*HEAVY, "fiftyone_legpose"}


def test_the_server_module_loads_no_sdk_before_it_connects():
    assert not loaded_after("import cvat_bridge; cvat_bridge.connect") & {*HEAVY}


def test_public_names_are_there_and_others_are_not():
    assert cvat_bridge.connect.__module__ == "cvat_bridge.connecting"
    assert set(cvat_bridge.__all__) <= set(dir(cvat_bridge))
    for name in cvat_bridge.__all__:
        assert getattr(cvat_bridge, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cvat_bridge.nothing


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_no_module_imports_what_this_package_must_not_know(path):
    tree = ast.parse(path.read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert not imported & {"fiftyone", "torch", "ultralytics", "fiftyone_legpose"}
