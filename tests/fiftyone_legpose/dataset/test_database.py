"""Whose patients a dataset stands among is told, and no password with it."""

from pathlib import Path

import fiftyone as fo
import fiftyone.core.odm as foo
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose import doctor
from fiftyone_legpose.dataset.database import database_in_use
from fiftyone_legpose.videos.load import load_summary


def folder_of_mongod() -> Path:
    """Tell where the database of these tests keeps its files."""
    options = foo.get_db_conn().client.admin.command("getCmdLineOpts")
    return Path(options["parsed"]["storage"]["dbPath"]).resolve()


@pytest.fixture
def joined(monkeypatch, tmp_path):
    """Configure another folder than that of the database which answers."""
    if fo.config.database_uri is None:
        pytest.skip("these tests have no database of their own")
    place = folder_of_mongod()
    monkeypatch.setattr(fo.config, "database_uri", None)
    monkeypatch.setattr(fo.config, "database_dir", str(tmp_path / "study_b"))
    return place


def test_another_database_than_the_configured_one_is_told(
    joined, short_clip, dataset_name, monkeypatch, tmp_path
):
    [note] = load_summary(lp.load(short_clip, dataset_name)).notes
    assert str(joined) in note
    assert f"instead of that in {tmp_path / 'study_b'}" in note
    [finding] = doctor._mongod()
    assert finding.good is None
    assert finding.detail.startswith(str(joined))
    assert finding.remedy == note
    monkeypatch.setattr(fo.config, "database_dir", str(joined))
    assert load_summary(lp.load(short_clip, dataset_name)).notes == []
    assert doctor._mongod()[0].good


def test_a_configured_server_is_named_without_its_password(monkeypatch):
    monkeypatch.setattr(fo.config, "database_uri", "mongodb://anna:secret@db.example.org:27018")
    found = database_in_use()
    assert found.place == f"db.example.org:27018, named {fo.config.database_name}"
    assert found.warning is None
