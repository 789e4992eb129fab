"""The leg model as a CVAT auto-annotation function.

``cvat-cli task auto-annotate TASK --function-module fiftyone_legpose.cvat_function`` draws the
skeletons of a task; ``cvat-cli function run-agent`` with the same option serves them inside CVAT.
Parameters are given like ``-p weights=str:best.pt -p trust=bool:yes``.
"""

from typing import TYPE_CHECKING

import numpy as np

from cvat_bridge.auto_annotation import PoseFunction, pose_function
from cvat_bridge.poses import Pose
from fiftyone_legpose import legs

if TYPE_CHECKING:
    import PIL.Image

    from fiftyone_legpose.prediction.runtimes import Backend


def create(
    weights: str | None = None,
    version: str | None = None,
    *,
    trust: bool = False,
    conf: float = 0.25,
    imgsz: int | None = None,
    flip_test: bool = False,
    voting: bool = False,
    device: str = "auto",
    backend: "Backend" = "auto",
) -> PoseFunction:
    """Make the function; ``cvat-cli`` calls this by its name.

    Parameters
    ----------
    weights, version, trust
        Which weights, as for predict; by default those in use.
    conf
        Lowest box confidence that counts as a person; CVAT's own threshold can only raise it.
    imgsz
        Longer side of the model's input in px; None is the size the weights were trained at.
    flip_test
        Look at every frame mirrored too, as for predict.
    voting
        Average everything that the network says of a person, as for predict.
    device
        ``auto``, ``cpu``, or a torch device such as ``0``.
    backend
        Runtime, as for predict.

    Returns
    -------
    PoseFunction
        For tasks with the label ``legs`` (`legs.SKELETON`). No point is marked occluded, as by
        push: that a model is unsure of one does not say that it is hidden.
    """
    from fiftyone_legpose.prediction.runtimes import PoseModel
    from fiftyone_legpose.zoo.weights import find_weights

    found = find_weights(weights, version=version, trust=trust)
    model = PoseModel(
        found,
        backend=backend,
        imgsz=imgsz,
        conf=conf,
        device=device,
        flip_test=flip_test,
        voting=voting,
    )

    def predict(image: "PIL.Image.Image") -> list[Pose]:
        bgr = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        (raw,) = model.infer([model.prepare(bgr)])
        return [
            Pose(
                points=points,
                visibility=np.full(len(points), 2),
                confidence=None if raw.confidence is None else raw.confidence[index],
                score=float(raw.scores[index]),
            )
            for index, points in enumerate(raw.points)
        ]

    return pose_function(legs.SKELETON, predict)
