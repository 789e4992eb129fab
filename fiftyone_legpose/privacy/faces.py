"""Find the faces of a picture, without a network."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

MODEL = Path(__file__).parent / "centerface" / "centerface.onnx"

LONGEST_PX = 1920
"""Longer side that a picture is looked at with; a larger one is made smaller first."""

_SURE = 0.5
_DOUBTFUL = 0.03
_CONFIRMED = 0.3
"""Scores of a face at first sight, of what may be one, and of one when it is looked at again.

40 planted faces 20 px wide scored 0.19 and more at first sight, as do things that are none; looked
at again 0.43 and more, and nothing in 100 legs-only pictures above 0.3. Of 1,000 planted faces none
is missed (`benchmarks/privacy.py`).
"""

_LOOKED_AGAIN_AT = 64
_CROP_PX = 96
_FACE_PX = 32
_CELL_PX = 4
_CENTRE = slice(6, 18)
_STRIDE = 32
_OUTPUTS = ("537", "538", "539", "540")
_SAME_FACE = 0.3

_Network = Callable[[np.ndarray], list[np.ndarray]]


def find_faces(picture: np.ndarray) -> np.ndarray:
    """Find faces with CenterFace, and look again, closer, at what may be one.

    Parameters
    ----------
    picture
        Shape (H, W, 3) of uint8, BGR, upright.

    Returns
    -------
    np.ndarray
        Shape (N, 5): x1, y1, x2, y2 in px, then the score; surest first.

    Notes
    -----
    A face must be about 20 px wide, where the longer side of the picture is `LONGEST_PX` or less.
    Backs of heads are no faces. Y. Xu et al., "CenterFace: Joint face detection and alignment using
    face as point", arXiv:1911.03599.
    """
    scale = min(1.0, LONGEST_PX / max(picture.shape[:2]))
    small = picture
    if scale < 1:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    candidates = _best(_decode(small))[:_LOOKED_AGAIN_AT]
    doubtful = np.flatnonzero(candidates[:, 4] < _SURE)
    if len(doubtful):
        again = _look_again(small, candidates[doubtful])
        candidates[doubtful, 4] = np.where(again > _CONFIRMED, again, 0)
    faces = candidates[candidates[:, 4] > 0]
    faces[:, :4] = np.clip(faces[:, :4] / scale, 0, np.tile(picture.shape[1::-1], 2))
    return faces[np.argsort(-faces[:, 4], kind="stable")]


def _decode(picture: np.ndarray) -> np.ndarray:
    """Read what the network answers, (N, 5): x1, y1, x2, y2 in px, score; surest first."""
    height, width = picture.shape[:2]
    padded = cv2.copyMakeBorder(
        picture, 0, -height % _STRIDE, 0, -width % _STRIDE, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    outputs = _network()(cv2.dnn.blobFromImage(padded, swapRB=True))
    heat, sizes, offsets = (output[0] for output in outputs[:3])
    rows, columns = np.nonzero(heat[0] > _DOUBTFUL)
    cells = np.stack([columns, rows], axis=1) + offsets[::-1, rows, columns].T + 0.5
    half = np.exp(sizes[::-1, rows, columns].T) / 2
    found = np.concatenate([cells - half, cells + half], axis=1) * _CELL_PX
    scored = np.column_stack([found, heat[0, rows, columns]]).astype(np.float64)
    return scored[np.argsort(-scored[:, 4], kind="stable")]


def _look_again(picture: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Score what may be a face, (N,), in crops in which it is as large as the network likes."""
    crops = []
    for x1, y1, x2, y2, _ in candidates:
        scale = _FACE_PX / max(x2 - x1, y2 - y1, 1)
        shift = _CROP_PX / 2 - scale * np.array([x1 + x2, y1 + y2]) / 2
        warp = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        crops.append(cv2.warpAffine(picture, warp, (_CROP_PX, _CROP_PX)))
    heat = _network()(cv2.dnn.blobFromImages(crops, swapRB=True))[0]
    return heat[:, 0, _CENTRE, _CENTRE].max(axis=(1, 2))


def _best(faces: np.ndarray) -> np.ndarray:
    """Keep the surest of the answers that mean one face."""
    corners = faces[:, :4].copy()
    corners[:, 2:] -= corners[:, :2]
    kept = cv2.dnn.NMSBoxes(corners.tolist(), faces[:, 4].tolist(), 0.0, _SAME_FACE)
    return faces[np.array(kept, int)]


@cache
def _network() -> _Network:
    """Load the network once, on OpenVINO where it is installed, else on OpenCV, 5 times slower."""
    if find_spec("openvino"):
        from fiftyone_legpose.zoo.openvino_cpu import compile_fastest

        compiled = compile_fastest(MODEL, any_size=True)

        def run(batch: np.ndarray) -> list[np.ndarray]:
            answer = compiled(batch)
            return [answer[name] for name in _OUTPUTS]

        return run
    network = cv2.dnn.readNetFromONNX(str(MODEL))

    def run_opencv(batch: np.ndarray) -> list[np.ndarray]:
        network.setInput(batch)
        return list(network.forward(_OUTPUTS))

    return run_opencv
