"""Keypoint confidence that says how far off a point is likely to be.

Ultralytics teaches a point's confidence to be 1 wherever it is labelled, occluded or not, well
placed or not. Here it is taught what the selection of frames needs to know:

    confidence = 2 ** -(distance / tenth of a leg length) ** 2    for visible points,
                 half of that                                     for occluded ones,
                 0                                                for those that are cut off.

So a visible point at 0.5 is expected to be a tenth of a leg length off, and an occluded point
stays under `legs.OCCLUDED_BELOW`, whatever its place.
"""

from typing import Any, Final

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from ultralytics.utils.loss import v8PoseLoss

HALF_AT: Final = 0.1
"""Distance in leg lengths at which a visible point's confidence is to be 0.5."""

_LEG_PER_BOX_SIDE: Final = 0.8
"""Leg length as a share of the box's longer side, where hip, knee or ankle are cut off."""

_SIDES: Final = ((0, 2, 4), (1, 3, 5))
"""Hip, knee, ankle."""


class DistanceAwarePoseLoss(v8PoseLoss):
    """Ultralytics' pose loss with another target for the keypoints' confidence."""

    def calculate_keypoints_loss(
        self,
        masks: torch.Tensor,
        target_gt_idx: torch.Tensor,
        keypoints: torch.Tensor,
        stride_tensor: torch.Tensor,
        target_bboxes: torch.Tensor,
        pred_kpts: torch.Tensor,
    ) -> tuple[Any, Any]:
        """Return the loss of places, as it was, and that of confidences."""
        place_loss, confidence_loss = super().calculate_keypoints_loss(
            masks, target_gt_idx, keypoints, stride_tensor, target_bboxes, pred_kpts
        )
        if not masks.any():
            return place_loss, confidence_loss
        true = keypoints[masks.nonzero(as_tuple=True)[0], target_gt_idx[masks]].clone()
        strides = stride_tensor.view(1, -1).expand(masks.shape[0], -1)[masks]
        true[..., :2] /= strides[:, None, None]
        predicted = pred_kpts[masks]
        corners = target_bboxes[masks]  # the parent has divided them by the strides
        sides = corners[:, 2:] - corners[:, :2]
        target = confidence_target(predicted.detach()[..., :2], true, sides.amax(dim=1))
        return place_loss, binary_cross_entropy_with_logits(predicted[..., 2], target)


def confidence_target(
    predicted: torch.Tensor, true: torch.Tensor, box_side: torch.Tensor
) -> torch.Tensor:
    """Return what each predicted point's confidence should have been.

    Parameters
    ----------
    predicted : (N, 10, 2) tensor
    true : (N, 10, 3) tensor
        x, y and visibility 0, 1, 2.
    box_side : (N,) tensor
        The true box's longer side; all in one unit.

    Returns
    -------
    (N, 10) tensor
        From 0 to 1.
    """
    visibility = true[..., 2]
    leg = torch.stack([_side_length(true, side) for side in _SIDES]).amax(dim=0)
    leg = torch.where(leg > 0, leg, _LEG_PER_BOX_SIDE * box_side)
    off = (predicted - true[..., :2]).norm(dim=-1) / (HALF_AT * leg[:, None] + 1e-9)
    share = torch.where(visibility == 2, 1.0, torch.where(visibility == 1, 0.5, 0.0))
    return torch.exp2(-off.square()) * share


def use_distance(model: Any, *, widen: float = 1.0) -> None:
    """Give a network this loss, as its ``criterion``.

    Parameters
    ----------
    model : PoseModel
    widen : float
        Factor on the OKS constants of the loss of places. The loss of a point that is far off
        hardly pulls on it; with wider constants it does, which teaches the pose first and the
        exact place later.
    """
    criterion = DistanceAwarePoseLoss(model)
    criterion.keypoint_loss.sigmas = criterion.keypoint_loss.sigmas * widen
    model.criterion = criterion


def _side_length(true: torch.Tensor, side: tuple[int, int, int]) -> torch.Tensor:
    hip, knee, ankle = (true[:, i] for i in side)
    length = (hip - knee)[:, :2].norm(dim=-1) + (knee - ankle)[:, :2].norm(dim=-1)
    complete = (true[:, list(side), 2] > 0).all(dim=1)
    return torch.where(complete, length, 0.0)
