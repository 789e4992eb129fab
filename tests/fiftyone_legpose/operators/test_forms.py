from pathlib import Path

import pytest

from fiftyone_legpose.operators.forms import as_path, given_path


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("~/gait.zip", str(Path.home() / "gait.zip")),
        (" /data/videos ", "/data/videos"),
        ("https://cvat.example.org/tasks/1", "https://cvat.example.org/tasks/1"),
        ("task:12", "task:12"),
        ("", None),
    ],
)
def test_a_typed_path_is_read(typed, read):
    assert given_path({"file": as_path(typed)}, "file") == read
    assert given_path({}, "file") is None
