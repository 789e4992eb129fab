from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from cvat_bridge.frames import Frame
from cvat_bridge.poses import Pose

SIZE = (64, 48)


@pytest.fixture(scope="session")
def recordings(shared: Path) -> Path:
    folder = shared / "cvat" / "recordings"
    if not folder.is_dir():
        pytest.skip(f"no recordings of a CVAT server at {folder} (set LEGPOSE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def make_frames() -> Callable[..., list[Frame]]:
    """make_frames(count, people=2, seed=0): frames with up to `people` random poses each.

    Visibility is random, points lie partly outside the picture, some with visibility 0 are NaN.
    """

    def make(count: int, people: int = 2, seed: int = 0) -> list[Frame]:
        rng = np.random.default_rng(seed)
        return [
            Frame(jpeg(index), *SIZE, [_pose(rng) for _ in range(rng.integers(0, people + 1))])
            for index in range(count)
        ]

    return make


def jpeg(seed: int) -> bytes:
    packed = BytesIO()
    PIL.Image.new("RGB", SIZE, (seed % 256, seed // 256, 0)).save(packed, "JPEG")
    return packed.getvalue()


def _pose(rng: np.random.Generator) -> Pose:
    points = rng.uniform((-20, -20), (84, 68), (10, 2))
    visibility = rng.integers(0, 3, 10)
    points[(visibility == 0) & (rng.random(10) < 0.5)] = np.nan
    return Pose(points, visibility)
