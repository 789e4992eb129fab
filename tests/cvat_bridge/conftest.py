from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings(shared: Path) -> Path:
    folder = shared / "cvat" / "recordings"
    if not folder.is_dir():
        pytest.skip(f"no recordings of a CVAT server at {folder} (set LEGPOSE_SHARED)")
    return folder
