"""The card's pictures: ``python -m weights.recipe.figures keypoints|failures``."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import cv2
import numpy as np
import typer

from fiftyone_legpose import legs
from fiftyone_legpose.evaluation.comparison import compare
from fiftyone_legpose.evaluation.metrics import auc, calibration
from weights.recipe.clothing import Layer
from weights.recipe.measuring import (
    DEFAULT,
    MIN_SCORE,
    SETTINGS,
    join,
    load_model,
    points_of_the_found,
    predict_all,
    read_truth,
)
from weights.recipe.mesh import load_mesh
from weights.recipe.posture import Posture
from weights.recipe.rendering import Camera, look_at, render
from weights.recipe.shipping import WEIGHTS
from weights.recipe.skinning import PosedBody, pose_body

PICTURES: Final = WEIGHTS.parent / "pictures"

_FEWEST_IN_A_BIN: Final = 10
"""Points; a share of fewer says nothing."""

_TILE_PX: Final = 300
_LABEL_GAP_PX: Final = 20
_SKIN_BGR: Final = (178, 190, 205)

app = typer.Typer(help="Draw the card's pictures.", no_args_is_help=True)


@app.command()
def keypoints(
    mesh: Annotated[Path, typer.Option(help="Folder of MakeHuman's mesh, rig and targets.")],
    out: Path = PICTURES / "keypoints.png",
) -> None:
    """Draw where the ten keypoints are, from the front and from the left."""
    from matplotlib.figure import Figure

    body_mesh = load_mesh(mesh)
    stride = np.array([0.3, -0.25])
    none = np.zeros(2)
    posture = Posture(stride, np.array([0.1, 0.25]), none, none, none + 0.15, none, 0.0)
    body = pose_body(body_mesh, body_mesh.vertices, posture)
    moved = body.move(body_mesh, body.rest)
    surface = Layer(moved, body_mesh.body, np.tile(_SKIN_BGR, (len(body_mesh.body), 1)))
    figure = Figure(figsize=(9, 4.8), dpi=110, layout="constrained")
    for axes, (title, azimuth) in zip(
        figure.subplots(1, 2), (("from the front", 0.0), ("from the left", np.pi / 2)), strict=True
    ):
        _draw_view(axes, body, surface, azimuth)
        axes.set_title(f"{title}: blue is the person's left", fontsize=11)
    figure.savefig(out)
    typer.echo(out)


@app.command()
def failures(
    data: Annotated[Path, typer.Option(help="Folder that holds legs/.")],
    weights: Annotated[Path, typer.Option(help="Weights to look at.")] = WEIGHTS,
    imgsz: Annotated[int | None, typer.Option(help="Longer side of the input, px.")] = None,
    count: Annotated[int, typer.Option(help="How many pictures.")] = 8,
    out: Path = PICTURES / "failures.png",
) -> None:
    """Show the validation pictures that went worst, of those that may be shown."""
    truth = read_truth(data / "legs")
    predicted = predict_all(truth, load_model(weights, imgsz))
    result = compare(truth.persons, predicted, leg=truth.leg, area=truth.area, min_score=MIN_SCORE)
    typical = np.nanmedian(np.minimum(result.error / result.leg[:, None], 1), axis=1)
    tiles: dict[int, np.ndarray] = {}
    for person in np.argsort(-typical):
        picture = int(result.frame[person])
        # The street's pictures are CC-BY, not BSD: they stay out of the repository.
        if truth.names[picture].startswith("p2s") and picture not in tiles:
            shown = predicted.points[(predicted.frame == picture) & (predicted.score >= MIN_SCORE)]
            true = truth.persons.points[truth.persons.frame == picture]
            tiles[picture] = _draw_tile(truth.images[picture], true, shown)
        if len(tiles) == count:
            break
    columns = (count + 1) // 2
    drawn = [*tiles.values()]
    rows = [np.hstack(drawn[i : i + columns]) for i in range(0, count, columns)]
    cv2.imwrite(str(out), np.vstack(rows), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    typer.echo(f"{out}: {', '.join(truth.names[i] for i in tiles)}")


@app.command()
def reliability(
    data: Annotated[Path, typer.Option(help="Folder that holds people/ and legs/.")],
    weights: Annotated[Path, typer.Option(help="Weights to look at.")] = WEIGHTS,
    imgsz: Annotated[int | None, typer.Option(help="Longer side of the input, px.")] = None,
    out: Path = PICTURES / "reliability.png",
) -> None:
    """Draw how often a point is in place, and how often hidden, by its confidence."""
    from matplotlib.figure import Figure

    truth = join([read_truth(data / "people"), read_truth(data / "legs")])
    predicted = predict_all(truth, load_model(weights, imgsz, **SETTINGS[DEFAULT]))
    result = compare(truth.persons, predicted, leg=truth.leg, area=truth.area, min_score=MIN_SCORE)
    confidence, visibility, near = points_of_the_found(result, predicted)
    figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="as a forecast would be")
    for kind, value, color in (("visible", 2, legs.LEFT_COLOR), ("occluded", 1, legs.RIGHT_COLOR)):
        bins = calibration(confidence[visibility == value], near[visibility == value])
        drawn = bins["count"] >= _FEWEST_IN_A_BIN
        area = auc(confidence[visibility == value], near[visibility == value])
        label = f"{kind} points, AUC {area:.2f}"
        left.plot(bins["confidence"][drawn], bins["correct"][drawn], "o-", color=color, label=label)
    left.set(xlabel="confidence", ylabel="share within a tenth of a leg length", ylim=(0, 1.02))
    left.legend(fontsize=8)
    edges = np.linspace(0, 1, 21)
    for kind, value, color in (
        ("visible", 2, legs.LEFT_COLOR),
        ("occluded", 1, legs.RIGHT_COLOR),
        ("cut off", 0, "#888888"),
    ):
        shares = np.histogram(confidence[visibility == value], edges)[0]
        right.stairs(shares / max(1, shares.sum()), edges, color=color, linewidth=2, label=kind)
    right.axvline(legs.OCCLUDED_BELOW, color="black", linestyle=":", label="occluded below")
    right.set(xlabel="confidence", ylabel="share of such points")
    right.legend(fontsize=8)
    figure.savefig(out)
    typer.echo(out)


def _draw_view(axes: Any, body: PosedBody, surface: Layer, azimuth: float) -> None:
    size = (500, 430)
    target = body.keypoints.mean(axis=0)
    position, rotation = look_at(target, 4.0, elevation=0.12, azimuth=azimuth, roll=0.0)
    camera = Camera(position, rotation, 2100.0, np.array([215.0, 310.0]))
    seen = render([surface], camera, size, np.random.default_rng(3))
    shade = seen.color + 255 * (1 - seen.alpha[..., None])
    axes.imshow(np.clip(shade[..., ::-1], 0, 255).astype(np.uint8))
    axes.axis("off")
    points, _ = camera.project(body.keypoints)
    for a, b in legs.EDGES:
        color = legs.COLORS[b] if a % 2 == b % 2 else "#888888"
        axes.plot(*points[[a, b]].T, color=color, linewidth=2.5)
    for side, color in (("left", legs.LEFT_COLOR), ("right", legs.RIGHT_COLOR)):
        names = [name for name in legs.KEYPOINTS if name.startswith(side)]
        of_side = points[[legs.KEYPOINTS.index(name) for name in names]]
        axes.plot(*of_side.T, "o", color=color, markersize=8, markeredgecolor="white")
        at_left = of_side[:, 0].mean() < points[:, 0].mean()
        edge = points[:, 0].min() - 30 if at_left else points[:, 0].max() + 30
        for point, name, height in zip(of_side, names, _spread(of_side[:, 1]), strict=True):
            axes.annotate(
                name,
                point,
                xytext=(edge, height),
                ha="right" if at_left else "left",
                va="center",
                fontsize=10,
                color=color,
                arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.7},
            )


def _spread(heights: np.ndarray) -> np.ndarray:
    """Move labels down (px) until none lies on another."""
    spread = heights.copy()
    order = np.argsort(heights)
    for above, below in pairwise(order):
        spread[below] = max(spread[below], spread[above] + _LABEL_GAP_PX)
    return spread


def _draw_tile(picture: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return a square picture with true poses in white, predicted ones in their colours."""
    scale = _TILE_PX / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    white = [(255, 255, 255)] * len(legs.KEYPOINTS)
    colors = [tuple(int(color[i : i + 2], 16) for i in (5, 3, 1)) for color in legs.COLORS]
    for poses, of_points in ((true, white), (predicted, colors)):
        for pose in poses * scale:
            for a, b in legs.EDGES:
                if np.isfinite(pose[[a, b]]).all():
                    ends = [tuple(int(v) for v in pose[i]) for i in (a, b)]
                    cv2.line(small, ends[0], ends[1], of_points[b], 2, cv2.LINE_AA)
    tile = np.full((_TILE_PX, _TILE_PX, 3), 32, np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    return tile


if __name__ == "__main__":
    app()
