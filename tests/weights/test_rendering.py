import numpy as np
import pytest

from weights.recipe.clothing import Layer
from weights.recipe.rendering import FAR, Camera, look_at, render, tube

SIZE = (60, 80)


@pytest.fixture
def camera() -> Camera:
    """Two metres before the origin, looking at it."""
    position, rotation = look_at(np.zeros(3), 2.0, elevation=0.0, azimuth=0.0, roll=0.0)
    return Camera(position, rotation, focal=60.0, center=np.array([40.0, 30.0]))


def square(depth: float, half: float, color: tuple[float, float, float]) -> Layer:
    corners = [
        (-half, -half, depth),
        (half, -half, depth),
        (half, half, depth),
        (-half, half, depth),
    ]
    return Layer(np.array(corners), np.array([[0, 1, 2, 3]]), np.array([color]), open=True)


def test_who_faces_the_camera_has_the_left_side_on_the_right(camera):
    pixels, depth = camera.project(np.array([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0]]))
    assert np.allclose(pixels, [[55, 30], [40, 15], [40, 30]])
    assert np.allclose(depth, 2)


def test_a_camera_behind_sees_the_left_side_on_the_left():
    position, rotation = look_at(np.zeros(3), 2.0, elevation=0.0, azimuth=np.pi, roll=0.0)
    pixels, _ = Camera(position, rotation, 60.0, np.array([40.0, 30.0])).project(np.eye(3)[:1])
    assert pixels[0, 0] < 40


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_square_hides_the_farther_one(camera, order):
    near, far = square(0.5, 0.2, (255, 1, 1)), square(-0.5, 0.6, (1, 1, 255))
    seen = render([near, far][::order], camera, SIZE, np.random.default_rng(0))
    assert seen.depth[30, 40] == pytest.approx(1.5)
    assert seen.color[30, 40, 0] > seen.color[30, 40, 2]
    assert seen.depth[30, 30] == pytest.approx(2.5)
    assert seen.depth[0, 0] == FAR
    assert seen.alpha[0, 0] == 0
    assert seen.alpha[30, 40] == 1


def test_a_tube_is_as_wide_as_it_should_be(camera):
    post = tube(np.array([0, -0.5, 0]), np.array([0, 0.5, 0]), 0.1, np.array([200.0, 200, 200]))
    seen = render([post], camera, SIZE, np.random.default_rng(0))
    assert seen.alpha[30].sum() == pytest.approx(6, abs=1.2)  # 0.2 m at 30 px a metre
    assert seen.alpha[:, 40].sum() == pytest.approx(31.6, abs=1.5)  # its near side
