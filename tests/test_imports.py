"""What importing the packages costs: each check runs in an interpreter of its own."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HEAVY = ("torch", "ultralytics", "cvat_sdk", "fiftyone", "cv2")


def loaded_by(code: str, **environment: str) -> set[str]:
    probe = f"{code}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    inherited = {k: v for k, v in os.environ.items() if k != "FIFTYONE_MODEL_ZOO_MANIFEST_PATHS"}
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=True,
        env={**inherited, **environment},
    )
    return set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))


@pytest.mark.parametrize("package", ["fiftyone_legpose", "cvat_bridge"])
def test_importing_a_package_loads_nothing_heavy(package):
    assert loaded_by(f"import {package}") == set()


def test_help_loads_nothing_heavy():
    code = (
        "from typer.testing import CliRunner\n"
        "from fiftyone_legpose.cli import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        "assert 'predict' in result.output"
    )
    assert loaded_by(code) == set()


ZOO = "import fiftyone.zoo as foz; assert 'legpose-yolov8n' in foz.list_zoo_models()"


@pytest.mark.parametrize(
    "order",
    ["import fiftyone_legpose, fiftyone", "import fiftyone, fiftyone_legpose"],
    ids=["ours-first", "fiftyone-first"],
)
def test_zoo_has_our_entry_whichever_is_imported_first(order):
    loaded_by(f"{order}\n{ZOO}\nassert 'legpose-author' in foz.list_zoo_models()")


def test_the_users_own_manifests_stay(tmp_path: Path):
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"models": []}))
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_zoo_manifest_paths": [str(own)]}))
    check = f"import fiftyone as fo; assert {str(own)!r} in fo.config.model_zoo_manifest_paths"
    for order in ("import fiftyone_legpose, fiftyone", "import fiftyone, fiftyone_legpose"):
        loaded_by(f"{order}\n{ZOO}\n{check}", FIFTYONE_CONFIG_PATH=str(config))
    loaded_by(
        f"import fiftyone_legpose\n{ZOO}\n{check}",
        FIFTYONE_MODEL_ZOO_MANIFEST_PATHS=str(own),
    )


def test_every_public_name_is_a_function_whatever_was_imported_before():
    loaded_by(
        "import fiftyone_legpose as lp, pkgutil\n"
        "modules = [m.name for m in pkgutil.iter_modules(lp.__path__)]\n"
        "taken = set(modules) & set(lp.__all__)\n"
        "assert not taken, f'modules hide the functions {taken}'\n"
        "assert all(callable(getattr(lp, name)) for name in lp.__all__)"
    )


def test_editors_see_what_the_package_gives():
    import fiftyone_legpose as lp

    assert set(lp.__all__) == {*lp.HOMES, *lp._CLASSES}
    tree = ast.parse(Path(lp.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module.removeprefix("fiftyone_legpose.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {**lp.HOMES, **lp._CLASSES}
    assert set(lp.__all__) | {"__version__"} <= set(dir(lp))


def test_the_version_is_one():
    import fiftyone_legpose as lp

    manifest = yaml.safe_load((Path(lp.__file__).parent / "fiftyone.yml").read_text())
    assert lp.__version__ == manifest["version"]
