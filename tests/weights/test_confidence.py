import pytest

torch = pytest.importorskip("torch")

from weights.recipe.confidence import confidence_target, use_distance  # noqa: E402

LEG = 100.0


@pytest.fixture
def true() -> "torch.Tensor":
    """One person of leg length 100, all points visible."""
    points = torch.zeros(1, 10, 3)
    points[..., 2] = 2
    points[0, :6, 1] = torch.tensor([0.0, 0, 50, 50, 100, 100])
    return points


def moved(true, distance: float):
    predicted = true[..., :2].clone()
    predicted[..., 0] += distance
    return predicted


def target(true, predicted):
    return confidence_target(predicted, true, torch.tensor([125.0]))[0]


def test_a_point_in_place_is_sure_and_a_tenth_of_a_leg_off_is_half_sure(true):
    assert torch.allclose(target(true, moved(true, 0)), torch.ones(10))
    assert torch.allclose(target(true, moved(true, LEG / 10)), torch.full((10,), 0.5))
    assert (target(true, moved(true, LEG / 2)) < 1e-6).all()


def test_occluded_points_are_half_as_sure_and_cut_off_ones_not_at_all(true):
    true[0, 7, 2] = 1
    true[0, 9, 2] = 0
    got = target(true, moved(true, 0))
    assert got[6] == 1
    assert got[7] == pytest.approx(0.5)
    assert got[9] == 0


def test_leg_length_is_the_longer_complete_side_else_comes_from_the_box(true):
    true[0, 0:5:2, 1] *= 2  # the left leg is twice as long
    assert target(true, moved(true, 20))[0] == pytest.approx(0.5)
    true[0, 0, 2] = 0  # the longer side is cut off
    assert target(true, moved(true, 10))[1] == pytest.approx(0.5)
    true[0, 1, 2] = 0  # so is the other: 0.8 of a box of 125
    assert target(true, moved(true, 10))[2] == pytest.approx(0.5)


def test_wider_constants_pull_on_points_that_are_far_off(true):
    from ultralytics import YOLO
    from ultralytics.cfg import get_cfg

    from weights.recipe.shipping import WEIGHTS

    model = YOLO(WEIGHTS).model
    model.args = get_cfg()
    losses = []
    for widen in (1.0, 2.0):
        use_distance(model, widen=widen)
        far = moved(true, LEG / 2).requires_grad_()
        loss = model.criterion.keypoint_loss(far, true, true[..., 2] > 0, torch.tensor([[5000.0]]))
        loss.backward()
        losses.append(float(far.grad.abs().sum()))
    assert losses[1] > 5 * losses[0] > 0
