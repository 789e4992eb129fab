"""The gate: planted faces that leave, legs that are hidden by mistake, time for each still.

Planted are drawn people (`benchmarks.drawn_people`) and a real face (scikit-image's astronaut) with
heads from 20 px on, each in a picture without a face. What hides legs is measured on pictures that
end at the waist. Pushes go to the tests' stand-in for CVAT.

    python -m benchmarks.privacy --data ../shared/data [--planted 1000] [--stills 40] [--rounds 3]
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import fiftyone as fo
import numpy as np

import fiftyone_legpose as lp
from benchmarks.cvat_push import server_login
from benchmarks.drawn_people import DrawnPeople
from cvat_bridge.poses import Pose
from fiftyone_legpose.dataset.keypoint_labels import visibility
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.runtimes import PoseModel
from fiftyone_legpose.privacy.faces import find_faces
from fiftyone_legpose.privacy.stills import Policy, check_still
from fiftyone_legpose.zoo.weights import find_weights
from tests.fiftyone_legpose.privacy.planting import plant_face

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "privacy.json"
SAMPLE = ROOT / "fiftyone_legpose" / "assets" / "sample" / "legs_sample.mp4"
HEADS_PX = (20, 24, 32, 48, 80, 160)
LEG_HALF_WIDTH = 0.12
"""Of a drawn leg, in leg lengths: about what trousers take."""
BONES = ((0, 2), (2, 4), (4, 8), (1, 3), (3, 5), (5, 9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the shared material")
    parser.add_argument("--planted", type=int, default=1000)
    parser.add_argument("--stills", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = PoseModel(find_weights(), Inference(voting=True))
    report: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    report["planted"] = measure_planted(options.data, options.planted, model)
    report["hidden"] = {
        name: measure_hidden(options.data / name, model) for name in ("legs", "people")
    }
    report["push"] = [
        measure_push(size, options.stills, options.rounds) for size in (None, (1920, 1080))
    ]
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def measure_planted(data: Path, count: int, model: PoseModel) -> dict[str, Any]:
    """Count what leaves in the default mode, by the height of the head."""
    drawing = DrawnPeople(data / "pack" / "mh", data / "pack" / "bg")
    rooms = [cv2.imread(str(path)) for path in sorted((data / "pack" / "bg").glob("*.png"))]
    rng = np.random.default_rng(24)
    rows: dict[str, dict[str, int]] = {}
    for i in range(count):
        head_px, kind = HEADS_PX[i // 2 % len(HEADS_PX)], ("drawn", "real")[i % 2]
        if kind == "drawn":
            picture, middle = drawing.draw(head_px, rng)
        else:
            room = rooms[rng.integers(len(rooms))]
            room = cv2.resize(room, None, fx=2, fy=2) if head_px > 60 else room
            picture, middle = plant_face(room, head_px, rng)
        still = check_still(picture, find_people(model, picture), Policy())
        x, y = middle
        seen = any(x1 < x < x2 and y1 < y < y2 for x1, y1, x2, y2, _ in find_faces(picture))
        row = rows.setdefault(f"{kind}, {head_px} px", {"planted": 0, "missed": 0, "left": 0})
        row["planted"] += 1
        row["missed"] += not seen
        row["left"] += not still.verdict.reasons
    total = {
        name: sum(row[name] for row in rows.values()) for name in ("planted", "missed", "left")
    }
    return {"all": total, **dict(sorted(rows.items()))}


def measure_hidden(folder: Path, model: PoseModel) -> dict[str, Any]:
    """Count pictures that are refused, and pixels of legs that `blacken` hides."""
    refused = hidden = legs = pictures = 0
    for path in sorted((folder / "images" / "val").iterdir()):
        picture = cv2.imread(str(path))
        labels = (folder / "labels" / "val" / path.name).with_suffix(".txt")
        mask = leg_pixels(labels, picture.shape[:2])
        still = check_still(picture, find_people(model, picture), Policy("blacken"))
        for x1, y1, x2, y2 in still.verdict.hidden.tolist():
            hidden += int(mask[y1:y2, x1:x2].sum())
            mask[y1:y2, x1:x2] = 0
        legs += int(leg_pixels(labels, picture.shape[:2]).sum())
        refused += bool(still.verdict.reasons)
        pictures += 1
    return {
        "pictures": pictures,
        "refused": refused,
        "share_of_leg_pixels_hidden": round(hidden / legs, 5),
    }


def leg_pixels(labels: Path, size: tuple[int, int]) -> np.ndarray:
    """Draw the labelled legs as thick lines, (H, W) of 0 and 1."""
    mask = np.zeros(size, np.uint8)
    for line in labels.read_text().splitlines() if labels.exists() else ():
        values = np.array(line.split()[5:], float).reshape(-1, 3)
        points, seen = values[:, :2] * size[::-1], values[:, 2] > 0
        known = [(a, b) for a, b in BONES if seen[a] and seen[b]]
        longest = max((float(np.linalg.norm(points[a] - points[b])) for a, b in known), default=0)
        for a, b in known:
            ends = [tuple(points[k].round().astype(int).tolist()) for k in (a, b)]
            cv2.line(mask, *ends, 1, max(1, round(4 * LEG_HALF_WIDTH * longest)))
    return mask


def find_people(model: PoseModel, picture: np.ndarray) -> list[Pose]:
    [raw] = model.infer([model.prepare(picture)])
    assert raw.confidence is not None
    found = zip(raw.points, raw.confidence, strict=True)
    return [Pose(points, visibility(points, sure)) for points, sure in found]


def measure_push(size: tuple[int, int] | None, stills: int, rounds: int) -> dict[str, Any]:
    """Time pushes of stills of the sample clip with the gate and without it, in turns.

    With `blacken`, which looks as `refuse` does, since of the clip made larger a still is refused.
    """
    with tempfile.TemporaryDirectory() as folder, server_login(False) as login:
        clip = SAMPLE
        if size is not None:
            clip = Path(folder) / "large.mp4"
            scale = f"scale={size[0]}:{size[1]}"
            command = ["ffmpeg", "-v", "error", "-i", str(SAMPLE), "-vf", scale, str(clip)]
            subprocess.run(command, check=True)
        dataset = fo.Dataset()
        lp.load(clip, dataset, progress=False)
        lp.predict(dataset, progress=False)
        numbers = np.linspace(1, dataset.count("frames"), stills).astype(int).tolist()
        ids = dataset.match_frames(fo.ViewField("frame_number").is_in(numbers)).values("frames.id")
        chosen = [frame_id for of_video in ids for frame_id in of_video]
        view = dataset.select_frames(chosen)
        find_faces(cv2.imread(str(ROOT / "docs" / "pictures" / "legs.png")))
        seconds: dict[str, list[float]] = {"off": [], "blacken": []}
        for number in range(rounds):
            for mode in seconds:
                started = time.perf_counter()
                lp.push(view, f"{mode}{number}", privacy=mode, again=True, progress=False, **login)
                seconds[mode].append(time.perf_counter() - started)
        dataset.delete()
    each = {mode: 1000 * median(of) / len(chosen) for mode, of in seconds.items()}
    return {
        "size": "as the sample" if size is None else list(size),
        "stills": len(chosen),
        "rounds": rounds,
        "ms_per_still": {mode: round(value, 1) for mode, value in each.items()},
        "gate_share": round((each["blacken"] - each["off"]) / each["off"], 3),
    }


if __name__ == "__main__":
    main()
