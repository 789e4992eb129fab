import hashlib

import cv2
import numpy as np
import pytest

from fiftyone_legpose.privacy import faces
from fiftyone_legpose.privacy.faces import MODEL, find_faces
from tests.fiftyone_legpose.privacy.planting import plant_face


@pytest.fixture
def empty_room() -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.integers(60, 200, (12, 16, 3), dtype=np.uint8)
    return cv2.resize(coarse, (480, 360), interpolation=cv2.INTER_CUBIC)


def covers(found: np.ndarray, point: tuple[float, float]) -> bool:
    x, y = point
    return any(x1 < x < x2 and y1 < y < y2 for x1, y1, x2, y2 in found[:, :4])


def test_model_is_the_file_that_its_readme_names():
    told = (MODEL.parent / "README.md").read_text()
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() in told


@pytest.mark.parametrize("width_px", [20, 32, 60, 120])
def test_finds_a_real_face(empty_room, width_px):
    rng = np.random.default_rng(width_px)
    for _ in range(5):
        picture, middle = plant_face(empty_room, width_px, rng)
        assert covers(find_faces(picture), middle)


def test_finds_nothing_where_nobody_is(empty_room):
    assert find_faces(empty_room).shape == (0, 5)


def test_finds_a_face_in_a_picture_that_is_made_smaller_first(empty_room):
    large = cv2.resize(empty_room, (2880, 2160))
    picture, middle = plant_face(large, 200, np.random.default_rng(1))
    [face] = find_faces(picture)
    assert covers(face[None], middle)
    assert 150 < face[2] - face[0] < 250  # in px of the picture, not of the smaller one


def test_finds_the_same_without_openvino(empty_room, monkeypatch):
    picture, middle = plant_face(empty_room, 60, np.random.default_rng(2))
    before = find_faces(picture)
    monkeypatch.setattr(faces, "find_spec", lambda name: None)
    faces._network.cache_clear()
    try:
        after = find_faces(picture)
    finally:
        faces._network.cache_clear()
    assert covers(after, middle)
    np.testing.assert_allclose(after[0, :4], before[0, :4], atol=3)
