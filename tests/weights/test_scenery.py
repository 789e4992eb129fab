import numpy as np
import pytest

from weights.recipe.photographs import Photographs
from weights.recipe.rendering import Camera, look_at
from weights.recipe.scenery import draw_room, paper

SIZE = (90, 120)


@pytest.fixture
def camera() -> Camera:
    position, rotation = look_at(np.zeros(3), 3.0, elevation=0.0, azimuth=0.3, roll=0.0)
    return Camera(position, rotation, focal=120.0, center=np.array([60.0, 45.0]))


def rooms(camera, photographs) -> list[np.ndarray]:
    generators = (np.random.default_rng([1, i]) for i in range(60))
    return [draw_room(camera, -1.0, SIZE, photographs, rng) for rng in generators]


def test_every_room_is_a_picture(camera):
    for room in rooms(camera, Photographs()):
        assert room.shape == (*SIZE, 3)
        assert np.isfinite(room).all()


def test_a_level_camera_sees_the_horizon_of_a_panorama_in_the_middle(camera):
    panorama = np.zeros((64, 128, 3), np.uint8)
    panorama[:32] = (255, 0, 0)
    photographs = Photographs(panoramas=(panorama,))
    upper, lower = slice(None, SIZE[0] // 2 - 4), slice(SIZE[0] // 2 + 4, None)
    split = [
        room
        for room in rooms(camera, photographs)
        if np.allclose(room[upper], (255, 0, 0), atol=1) and np.allclose(room[lower], 0, atol=1)
    ]
    assert 3 <= len(split) <= 30


def test_a_surface_has_a_texture_s_pattern_and_about_unit_brightness():
    texture = np.zeros((40, 40, 3), np.uint8)
    texture[:20] = 200
    surface = paper(texture, (300, 300), np.random.default_rng(2))
    assert surface.shape == (300, 300, 3)
    assert surface.mean() == pytest.approx(1, abs=0.15)
    assert np.ptp(surface) == pytest.approx(2, abs=0.1)
