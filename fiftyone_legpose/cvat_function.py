"""The leg model as a CVAT auto-annotation function.

``cvat-cli task auto-annotate TASK --function-module fiftyone_legpose.cvat_function`` draws the
skeletons of a task; ``cvat-cli function run-agent`` with the same option serves them inside CVAT.
Parameters are given like ``-p weights=str:best.pt -p trust=bool:yes``.
"""

from typing import TYPE_CHECKING, Unpack

import numpy as np

from cvat_bridge.auto_annotation import PoseFunction, pose_function
from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.prediction.inference import Inference, InferenceOptions, takes_inference

if TYPE_CHECKING:
    import PIL.Image


@takes_inference
def create(
    weights: str | None = None,
    version: str | None = None,
    *,
    trust: bool = False,
    **inference: Unpack[InferenceOptions],
) -> PoseFunction:
    """Make the function; ``cvat-cli`` calls this by its name.

    CVAT's own threshold can only raise `conf`.

    Parameters
    ----------
    weights, version, trust
        Which weights, as for predict; by default those in use.
    **inference
        What the network is asked and on what it runs: the attributes of
        `prediction.inference.Inference`.

    Returns
    -------
    PoseFunction
        For tasks with the label ``legs`` (`legs.SKELETON`). No point is marked occluded, as by
        push: that a model is unsure of one does not say that it is hidden.
    """
    from fiftyone_legpose.prediction.looking import Looker
    from fiftyone_legpose.prediction.runtimes import PoseModel
    from fiftyone_legpose.zoo.weights import find_weights

    found = find_weights(weights, version=version, trust=trust)
    looker = Looker(PoseModel(found, Inference(**inference)))

    def predict(image: "PIL.Image.Image") -> list[Pose]:
        bgr = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        (raw,) = looker.look([bgr])
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
