from pathlib import Path

import pytest

from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.files import write_whole


def test_a_file_is_there_when_all_of_it_is_written(tmp_path: Path):
    target = tmp_path / "new" / "gait.csv"
    with write_whole(target) as part:
        part.write_text("1")
        assert not target.exists()
    assert target.read_text() == "1"
    assert [path.name for path in target.parent.iterdir()] == ["gait.csv"]


def test_what_breaks_off_leaves_the_former_file_alone(tmp_path: Path):
    target = tmp_path / "gait.csv"
    target.write_text("before")
    with pytest.raises(KeyboardInterrupt), write_whole(target) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["gait.csv"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(DatasetError, match=r"taken.*cannot be written"), write_whole(taken / "x"):
        pass
    with pytest.raises(DatasetError, match="is a folder: name a file in it"), write_whole(tmp_path):
        pass
