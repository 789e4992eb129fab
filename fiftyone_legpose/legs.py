"""The ten leg keypoints: the only place that knows their names, order, edges and colours."""

from typing import Final

from cvat_bridge.skeleton import Skeleton

KEYPOINTS: Final = (
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot",
    "right_foot",
)
"""Names in order; sides are the subject's own (anatomical), foot is the tip of the toes."""

EDGES: Final = (
    (0, 1),
    (0, 2),
    (2, 4),
    (4, 6),
    (6, 8),
    (4, 8),
    (1, 3),
    (3, 5),
    (5, 7),
    (7, 9),
    (5, 9),
)
"""Pairs of keypoint indices that a line joins: pelvis, then left leg, then right leg."""

FLIP_INDEX: Final = (1, 0, 3, 2, 5, 4, 7, 6, 9, 8)
"""Index of the keypoint that each one becomes in a mirrored picture."""

RIGHT_FIRST: Final = FLIP_INDEX
"""Order of weights and labels whose pairs start with the right side; maps them to `KEYPOINTS`."""

COCO_INDEX: Final = (11, 12, 13, 14, 15, 16)
"""Index, among the 17 keypoints of COCO's persons, of the first of `KEYPOINTS`; heels and feet are
not among them."""

LEFT_COLOR: Final = "#1f8fff"
RIGHT_COLOR: Final = "#ff7a1a"
COLORS: Final = tuple(LEFT_COLOR if name.startswith("left") else RIGHT_COLOR for name in KEYPOINTS)
"""One colour a keypoint: blue left, orange right, told apart with any common colour blindness."""

SIGMAS: Final = (0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.089, 0.089, 0.089, 0.089)
"""Per-keypoint OKS constants (k_i = 2 sigma_i in COCO's formula).

Hip, knee and ankle are COCO's own (Ronchi & Perona 2017, "Benchmarking and error diagnosis in
multi-instance pose estimation"; pycocotools). COCO has no heel and foot in its 17 points; they
take the ankle's value, because COCO-WholeBody's far smaller foot sigmas (0.066 to 0.092) come
from annotators who zoomed in on single feet, which reviewers of whole videos do not.
"""

OCCLUDED_BELOW: Final = 0.5
"""Keypoint confidence under which a predicted point counts as occluded in labels, exports and
metrics, since a model says nothing else of what it does not see. Reviewers are not told so: see
`review.guide`."""

BOX_MARGIN: Final = 0.08
"""From the outermost keypoints to the box that a model learns, as a share of the longer side of
what they span: legs reach beyond their keypoints."""

SKELETON: Final = Skeleton(
    name="legs",
    keypoints=KEYPOINTS,
    edges=EDGES,
    layout=(
        (62.0, 6.0),
        (38.0, 6.0),
        (64.0, 44.0),
        (36.0, 44.0),
        (64.0, 80.0),
        (36.0, 80.0),
        (56.0, 90.0),
        (44.0, 90.0),
        (80.0, 94.0),
        (20.0, 94.0),
    ),
    colors=COLORS,
)
"""The skeleton as a subject who faces the camera: the left leg stands right in the picture."""
