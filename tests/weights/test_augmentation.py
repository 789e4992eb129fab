import numpy as np
import pytest

from weights.recipe.augmentation import degrade, hide


@pytest.fixture
def picture() -> np.ndarray:
    return np.full((120, 160, 3), 128, np.uint8)


def test_degrade_keeps_shape_and_type_and_is_repeatable(picture):
    for seed in range(20):
        once, again = (degrade(picture, np.random.default_rng(seed)) for _ in range(2))
        assert once.shape == picture.shape
        assert once.dtype == np.uint8
        assert np.array_equal(once, again)
    darkest = min(degrade(picture, np.random.default_rng(s)).mean() for s in range(50))
    assert darkest < 70


def test_degrade_veils_some_pictures(picture):
    black = [degrade(picture * 0, np.random.default_rng(s)).mean() for s in range(60)]
    assert 3 <= sum(level > 40 for level in black) <= 20


def test_hide_marks_exactly_the_points_it_covers(picture):
    grid = np.stack(np.meshgrid(np.arange(4, 160, 8), np.arange(4, 120, 8)), axis=-1)
    points = grid.reshape(1, -1, 2).astype(float)
    visibility = np.full(points.shape[:2], 2)
    visibility[0, ::5] = 0
    before = picture.copy()
    after = hide(picture, points, visibility, np.random.default_rng(1))
    changed = (picture != before).any(axis=-1)
    x, y = points[0].astype(int).T
    assert changed.any()
    assert np.array_equal(after[0] == 1, changed[y, x] & (visibility[0] == 2))
    assert np.array_equal(after == 0, visibility == 0)


def test_hide_leaves_a_picture_without_points_alone(picture):
    before = picture.copy()
    hide(picture, np.zeros((1, 10, 2)), np.zeros((1, 10)), np.random.default_rng(0))
    assert np.array_equal(picture, before)
