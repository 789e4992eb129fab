import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("LEGPOSE_SHARED") or Path(__file__).parents[3] / "shared")


@pytest.fixture(scope="session")
def recordings() -> Path:
    folder = SHARED / "cvat" / "recordings"
    if not folder.is_dir():
        pytest.skip(f"recordings of a CVAT server are not at {folder} (set LEGPOSE_SHARED)")
    return folder
