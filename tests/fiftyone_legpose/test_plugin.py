import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import fiftyone as fo
import pytest
import typer
import yaml
from typer.testing import CliRunner

from fiftyone_legpose import cli, demo, plugin_install
from fiftyone_legpose.errors import MissingToolError
from fiftyone_legpose.operators import OPERATORS
from tests.fiftyone_legpose.plugin_fixtures import NAME, PACKAGE, installed

MANIFEST = yaml.safe_load((PACKAGE / "fiftyone.yml").read_text())
IN_JAVASCRIPT = {"go_to_frame"}
NO_VERBS = {*IN_JAVASCRIPT, "show_panel"}


@pytest.fixture
def plugins_dir(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "plugins"
    monkeypatch.setattr(fo.config, "plugins_dir", str(folder))
    return folder


def test_everything_listed_registers_without_an_error():
    context = installed()
    assert context.errors == []
    registered = {instance.name for instance in context.instances}
    assert registered == {*MANIFEST["operators"], *MANIFEST["panels"]} - IN_JAVASCRIPT
    assert context.secrets == [
        "FIFTYONE_CVAT_URL",
        "FIFTYONE_CVAT_USERNAME",
        "FIFTYONE_CVAT_PASSWORD",
        "FIFTYONE_CVAT_TOKEN",
        "FIFTYONE_CVAT_ORGANIZATION",
        "FIFTYONE_CVAT_CA_FILE",
    ]


def test_the_javascript_registers_what_python_does_not():
    script = (PACKAGE / MANIFEST["js_bundle"]).read_text()
    for name in IN_JAVASCRIPT:
        assert f'name: "{name}"' in script
    assert f'registerOperator(GoToFrame, "{NAME}")' in script


def test_operators_bear_the_names_of_the_commands():
    command = typer.main.get_command(cli.app)
    commands = set(command.list_commands(command.make_context("legpose", ["doctor"])))
    verbs = {cls.verb for cls in OPERATORS}
    assert verbs == set(MANIFEST["operators"]) - NO_VERBS
    assert verbs <= {name.replace("-", "_") for name in commands}


def test_registering_loads_nothing_heavy():
    code = (
        "import sys; from fiftyone_legpose import plugin; "
        "print([m for m in ('torch', 'ultralytics', 'cvat_sdk', 'openvino') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip().endswith("[]")


def test_whoever_opens_the_app_has_the_buttons(plugins_dir, monkeypatch):
    monkeypatch.setattr(fo, "launch_app", lambda *_, **__: MagicMock())
    CliRunner().invoke(cli.app, ["app"], catch_exceptions=False)
    assert (plugins_dir / "legpose" / "fiftyone.yml").is_file()


def test_whoever_ran_the_demo_has_the_buttons(plugins_dir, monkeypatch, tmp_path):
    for name in ("load_clip", "handover_name", "predict", "select", "push"):
        monkeypatch.setattr(demo, name, MagicMock())
    for name in ("_print_table", "_print_next"):
        monkeypatch.setattr(demo, name, MagicMock())
    demo.run_demo(tmp_path, open_app=False)
    assert (plugins_dir / "legpose" / "fiftyone.yml").is_file()


def test_installing_twice_changes_nothing(plugins_dir):
    first = plugin_install.install()
    assert first == plugins_dir / "legpose"
    assert first.is_symlink()
    assert (first / "fiftyone.yml").is_file()
    before = first.lstat().st_mtime_ns
    assert plugin_install.install() == first
    assert first.lstat().st_mtime_ns == before
    assert [p.name for p in plugins_dir.iterdir()] == ["legpose"]


def test_where_links_are_not_allowed_it_is_copied_and_brought_up_to_date(plugins_dir, monkeypatch):
    def refuse(*_, **__):
        raise OSError("links need a privilege")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    copied = plugin_install.install()
    assert not copied.is_symlink()
    (copied / "plugin.py").write_text("an older version")
    plugin_install.install()
    assert (copied / "plugin.py").read_text() == (PACKAGE / "plugin.py").read_text()
    assert (copied / MANIFEST["js_bundle"]).is_file()
    assert [p.name for p in plugins_dir.iterdir()] == ["legpose"]


def test_a_link_to_an_older_place_is_replaced(plugins_dir, tmp_path):
    plugins_dir.mkdir()
    (plugins_dir / "legpose").symlink_to(tmp_path / "gone")
    assert plugin_install.install().resolve() == PACKAGE


def test_what_is_no_plugin_stays(plugins_dir):
    (plugins_dir / "legpose").mkdir(parents=True)
    (plugins_dir / "legpose" / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(MissingToolError, match="is no plugin"):
        plugin_install.install()
    assert (plugins_dir / "legpose" / "thesis.txt").read_text() == "irreplaceable"
