"""What is fast and what is found, measured against what a user would run instead."""

import os
from pathlib import Path
from typing import Final

SHARED: Final = Path(os.environ.get("LEGPOSE_SHARED", Path(__file__).parents[2] / "shared"))
"""The training material; beside the repository, or where LEGPOSE_SHARED says."""
