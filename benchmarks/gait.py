"""gait against drawn walkers whose every contact, toe-off, angle and metre is known.

    python -m benchmarks.gait                    # true keypoints only: under two minutes
    python -m benchmarks.gait --videos 12        # also from drawn videos, with the weights in use
    python -m benchmarks.gait --speed            # also the time of smooth and gait

True keypoints are scored with and without noise; videos go the whole way: load, predict, smooth,
gait. Beside ours stands gaitkit's Zeni on the same paths, where gaitkit is installed, and its
bundled trial of a patient with annotated events. Results go to benchmarks/results/gait.json.

Needs MakeHuman's files, as weights/recipe/README.md says: in ../shared/data/pack/mh, or --mesh.
"""

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.drawn_walkers import (
    SECONDS,
    SIZES,
    Walker,
    draw_frames,
    draw_walkers,
    film_points,
    place_camera,
    write_video,
)
from fiftyone_legpose.gait_analysis.angles import normalise_cycles
from fiftyone_legpose.gait_analysis.motion import SIDES
from fiftyone_legpose.gait_analysis.person import BoutGait, Measured, analyse
from fiftyone_legpose.gait_analysis.summary import summarise
from fiftyone_legpose.trajectories.clean import Cleaning, clean_path
from fiftyone_legpose.trajectories.paths import Observed
from fiftyone_legpose.trajectories.paths import Path as WalkedPath
from weights.recipe.mesh import load_mesh
from weights.recipe.walking import Walk

RESULTS = Path(__file__).parent / "results" / "gait.json"
MESH = Path(__file__).parents[2] / "shared/data/pack/mh"
WITHIN_S = 0.1
BORDER_S = 0.15
"""Events so near to a clip's border may be missed."""

CLEANING = Cleaning(None, 5.0, 10.0, 0.25, 0.75, True)
"""The defaults of smooth."""

NOISE = 0.025
"""Standard deviation of each coordinate in leg lengths, where noise is added."""

ANGLES = {"knee_flexion_deg": "knee_flexion", "ankle_dorsiflexion_deg": "ankle_dorsiflexion"}


@dataclass
class Score:
    """What was found of the walks of one condition, against the truth."""

    errors_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    missed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    invented: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    off: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    views: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    walks: int = 0

    def add_events(self, found: list[tuple[str, str, float]], walk: Walk) -> None:
        """Match (side, kind, time) with the walk's events, the nearest within `WITHIN_S`."""
        for kind, truth in (("contact", walk.contacts_s), ("toe_off", walk.toe_offs_s)):
            for side, true in zip(SIDES, truth, strict=True):
                left = [when for s, k, when in found if (s, k) == (side, kind)]
                for when in true:
                    near = [other for other in left if abs(other - when) <= WITHIN_S]
                    inner = BORDER_S < when < walk.time_s[-1] - BORDER_S
                    if near:
                        best = min(near, key=lambda other: abs(other - when))
                        left.remove(best)
                        if inner:
                            self.errors_s[kind].append(best - when)
                    elif inner:
                        self.missed[kind] += 1
                inside = [t for t in left if BORDER_S < t < walk.time_s[-1] - BORDER_S]
                self.invented[kind] += len(inside)

    def add_bout(self, found: BoutGait, walk: Walk) -> None:
        """Compare parameters and cycles of a bout with the walk's."""
        self.views[f"{found.bout.view} {found.bout.surface}"] += 1
        told = summarise(found.strides, found.scale)
        strides = np.concatenate([np.diff(times) for times in walk.contacts_s])
        self._note("cadence_spm", told["cadence_spm"], 120 / strides.mean())
        shares = [
            (off[off > t][0] - t) / (np.diff(own).mean())
            for own, off in zip(walk.contacts_s, walk.toe_offs_s, strict=True)
            for t in own
            if (off > t).any() and len(own) > 1
        ]
        measures = told["measures"]
        self._note("stance_points", *(100 * x if x else x for x in (
            measures["stance_share"]["both"]["mean"], float(np.mean(shares)))))  # fmt: skip
        if "speed_m_s" in measures:
            speed = measures["speed_m_s"]["both"]["mean"]
            self._note("speed_percent", 100 * speed / walk.speed_m_s if speed else None, 100)
        for name, truth in ANGLES.items():
            for i, side in enumerate(SIDES):
                curves = found.cycles[side].get(name)
                own = [(s.start_s, s.end_s) for s in found.strides if s.side == side]
                if curves is None or not len(own):
                    continue
                true = normalise_cycles(walk.time_s, np.degrees(getattr(walk, truth)[:, i]), own)
                off = curves - true
                off -= np.nanmean(off, axis=1, keepdims=True)
                if np.isfinite(off).any():
                    self.off[f"{truth}_rmse_deg"].append(float(np.sqrt(np.nanmean(off**2))))

    def _note(self, name: str, value: float | None, true: float) -> None:
        if value is not None:
            self.off[name].append(value - true)

    def to_json(self) -> dict[str, object]:
        """Give the figures."""
        told: dict[str, object] = {"walks": self.walks, "seen_as": dict(self.views)}
        for kind in ("contact", "toe_off"):
            error = 1000 * np.array(self.errors_s[kind])
            wrong = self.missed[kind] + self.invented[kind]
            told[kind] = {
                "f1": round(2 * len(error) / max(1, 2 * len(error) + wrong), 3),
                "mean_ms": _round(error.mean()) if len(error) else None,
                "sd_ms": _round(error.std()) if len(error) else None,
                "absolute_ms": _round(np.abs(error).mean()) if len(error) else None,
            }
        for name, values in self.off.items():
            if name.endswith("rmse_deg"):
                told[name] = _round(float(np.mean(values)))
            else:
                told[name] = {
                    "mean": _round(float(np.mean(values))),
                    "absolute": _round(float(np.abs(values).mean())),
                }
        return told


def _round(value: float) -> float:
    return round(float(value), 2)


def observe(points: np.ndarray, time_s: np.ndarray, leg_px: float) -> Observed:
    count = len(points)
    return Observed(
        track=1,
        frame=np.arange(1, count + 1),
        time_s=time_s,
        predicted=points,
        confidence=np.full((count, 10), 0.9),
        visibility=np.full((count, 10), 2),
        reviewed=np.zeros(count, bool),
        corrected=np.full_like(points, np.nan),
        corrected_visibility=np.zeros((count, 10), int),
        leg_px=leg_px,
    )


def leg_px(points: np.ndarray) -> float:
    thigh, shank = (np.linalg.norm(points[:, j : j + 2] - points[:, j - 2 : j], axis=-1)
                    for j in (2, 4))  # fmt: skip
    return float(np.median((thigh + shank).max(axis=1)))


def score_path(score: Score, path: WalkedPath, walk: Walk, leg_m: float) -> None:
    person = analyse(path, Measured({"leg_length_m": leg_m}))
    score.walks += 1
    events = [event for found in person.bouts for event in found.events]
    score.add_events([(e.side, e.kind, e.time_s) for e in events], walk)
    if person.bouts:
        longest = max(person.bouts, key=lambda found: found.bout.end_s - found.bout.start_s)
        score.add_bout(longest, walk)


def conditions() -> Iterator[tuple[str, str, float]]:
    for view in ("side", "oblique", "front"):
        for surface in ("overground", "treadmill"):
            for fps in (25.0, 30.0, 60.0):
                yield view, surface, fps


def from_true_keypoints(walkers: list[Walker]) -> dict[str, object]:
    scores: dict[str, Score] = defaultdict(Score)
    theirs: dict[str, Score] = defaultdict(Score)
    for view, surface, fps in conditions():
        for walker in walkers:
            walk = walker.walk(fps, SECONDS[surface])
            camera, belt = place_camera(walk, view, surface)
            points = film_points(walk, camera, belt)
            for noise in (0.0, NOISE):
                rng = np.random.default_rng(walker.seed)
                seen = points + rng.normal(0, noise * leg_px(points), points.shape)
                name = f"{view}, {surface}, {fps:g} frames/s, noise {noise:g}"
                path = clean_path(observe(seen, walk.time_s, leg_px(points)), CLEANING)
                score_path(scores[name], path, walk, walker.leg_m)
                if view == "side" and (events := gaitkit_zeni(path, fps)) is not None:
                    theirs[name].walks += 1
                    theirs[name].add_events(events, walk)
    return {
        "ours": {name: score.to_json() for name, score in scores.items()},
        "gaitkit zeni": {name: score.to_json() for name, score in theirs.items()},
    }


def gaitkit_zeni(path: WalkedPath, fps: float) -> list[tuple[str, str, float]] | None:
    """Find events by gaitkit on the same clean path; None where it is not installed."""
    try:
        from gaitkit.detectors.zeni_detector import ZeniDetector
    except ImportError:
        return None
    from types import SimpleNamespace

    names = [f"{side}_{joint}" for joint in ("hip", "knee", "ankle", "heel", "toe")
             for side in SIDES]  # fmt: skip
    scaled = np.nan_to_num(path.points / path.leg_px)
    frames = [
        SimpleNamespace(
            landmark_positions={n: (*xy, 0.0) for n, xy in zip(names, row, strict=True)}
        )
        for row in scaled
    ]
    contacts, toe_offs, _ = ZeniDetector(fps=fps).detect(frames)
    kinds = [("contact", e) for e in contacts] + [("toe_off", e) for e in toe_offs]
    return [(event.side, kind, event.time) for kind, event in kinds]


@dataclass(frozen=True)
class _Trial:
    """Stands in for a `Walk` where events alone are scored."""

    time_s: np.ndarray
    contacts_s: tuple[np.ndarray, np.ndarray]
    toe_offs_s: tuple[np.ndarray, np.ndarray]


def patient_trial() -> dict[str, object] | None:
    """Score gaitkit's bundled trial of a patient, from aside at 30 frames/s."""
    try:
        import gaitkit
    except ImportError:
        return None
    file = Path(gaitkit.__file__).parent / "data/example_parkinson.json"
    trial = json.loads(file.read_text())
    names = [f"{side}_{joint}" for joint in ("hip", "knee", "ankle", "heel", "toe")
             for side in SIDES]  # fmt: skip
    space = np.array([[f["landmark_positions"][n] for n in names] for f in trial["angle_frames"]])
    along = int(np.ptp(space[:, :2].mean(axis=1), axis=0).argmax())
    truth = trial["ground_truth"]
    events = [
        tuple(np.array(truth[key][side]) / trial["fps"] for side in SIDES)
        for key in ("hs_frames", "to_frames")
    ]
    time_s = np.arange(0, (len(space) - 1) / trial["fps"], 1 / 30)
    flat = np.stack([space[..., along], -space[..., 1]], axis=-1) / 2.5
    known_s = np.arange(len(space)) / trial["fps"]
    points = np.stack(
        [np.interp(time_s, known_s, column) for column in flat.reshape(len(flat), -1).T], axis=1
    ).reshape(len(time_s), 10, 2)
    path = clean_path(observe(points, time_s, leg_px(points)), CLEANING)
    ours, theirs = Score(walks=1), Score(walks=1)
    walk = _Trial(time_s, *events)
    found = [event for one in analyse(path, Measured({})).bouts for event in one.events]
    ours.add_events([(e.side, e.kind, e.time_s) for e in found], walk)  # type: ignore[arg-type]
    theirs.add_events(gaitkit_zeni(path, 30.0) or [], walk)  # type: ignore[arg-type]
    return {"ours": ours.to_json(), "gaitkit zeni": theirs.to_json()}


def from_videos(mesh: object, walkers: list[Walker], options: argparse.Namespace) -> dict:
    """Draw videos, and go the whole way from each to numbers."""
    import fiftyone as fo

    import fiftyone_legpose as lp
    from fiftyone_legpose.dataset import fields
    from fiftyone_legpose.dataset.pose_table import read_poses
    from fiftyone_legpose.trajectories.path_labels import read_paths

    folder = Path(options.folder or tempfile.mkdtemp(prefix="legpose-walkers-"))
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [("side", "overground", 30.0), ("side", "treadmill", 30.0)]
    others = [("side", "treadmill", 60.0), ("oblique", "overground", 30.0)]
    others += [("front", "overground", 30.0)]
    films = {}
    for view, surface, fps in wanted + others:
        count = options.videos if (view, surface, fps) in wanted else options.others
        # Of a few every third, so that some walk normally and some do not.
        for walker in (walkers if count >= len(walkers) else walkers[::3])[:count]:
            walk = walker.walk(fps, SECONDS[surface])
            camera, belt = place_camera(walk, view, surface)
            file = folder / f"{view}_{surface}_{fps:g}_{walker.seed:02d}_{walker.name}.mp4"
            if not file.exists():
                part = file.with_suffix(".part.mp4")
                frames = draw_frames(mesh, walker, walk, camera, belt, surface)  # type: ignore[arg-type]
                write_video(part, frames, SIZES[surface], fps)
                part.rename(file)
                print(f"drawn: {file.name}", flush=True)
            films[file.name] = (
                f"{view}, {surface}, {fps:g} frames/s", walker, walk, (camera, belt)
            )  # fmt: skip
    name = f"gait-benchmark-{os.getpid()}"
    dataset = lp.load([folder / file for file in films], name)
    scores: dict[str, Score] = defaultdict(Score)
    distances: dict[str, list[np.ndarray]] = defaultdict(list)
    try:
        care = not options.plain
        lp.predict(dataset, voting=care, flip_test=care, imgsz=options.imgsz)
        lp.smooth(dataset)
        for sample in dataset:
            condition, walker, walk, (camera, belt) = films[Path(sample[fields.SOURCE]).name]
            video = dataset.select(sample.id)
            paths, _ = read_paths(video, fields.SMOOTH)
            if not paths:
                scores[condition].walks += 1
                scores[condition].add_events([], walk)
                continue
            path = max(paths, key=lambda one: len(one.frame))
            score_path(scores[condition], path, walk, walker.leg_m)
            truth = film_points(walk, camera, belt)
            for label, seen in (("predicted", read_poses(video, fields.PREDICTIONS)),
                                ("smooth", read_poses(video, fields.SMOOTH))):  # fmt: skip
                rows = np.flatnonzero(seen.track == path.track)
                at = seen.frame_number[seen.pose_frame[rows]] - 1
                off = np.linalg.norm(seen.points[rows] - truth[at], axis=-1) / leg_px(truth)
                distances[f"{condition}, {label}"].append(off)
    finally:
        fo.delete_dataset(name)
    return {
        "ours": {condition: score.to_json() for condition, score in scores.items()},
        "median distance in leg lengths": {
            name: round(float(np.nanmedian(np.concatenate(values))), 4)
            for name, values in distances.items()
        },
    }


def speed(videos: int = 30, frames: int = 3600) -> dict[str, float]:
    """Time smooth and gait on long videos, beyond predict."""
    import fiftyone as fo

    import fiftyone_legpose as lp
    from fiftyone_legpose.dataset import fields, keypoint_labels
    from weights.recipe.walking import ADULT, STYLES, simulate_walk

    time_s = np.arange(frames) / 30
    walk = simulate_walk(ADULT, STYLES["normal"], time_s, np.random.default_rng(0))
    camera, belt = place_camera(walk, "side", "treadmill")
    size = SIZES["treadmill"]
    points = film_points(walk, camera, belt)
    points += np.random.default_rng(0).normal(0, NOISE * leg_px(points), points.shape)
    dataset = fo.Dataset(f"gait-speed-{os.getpid()}")
    dataset.media_type = "video"
    try:
        keypoint_labels.declare(dataset, fields.PREDICTIONS)
        metadata = fo.VideoMetadata(frame_width=size[0], frame_height=size[1], frame_rate=30.0)
        for number in range(videos):
            sample = fo.Sample(filepath=f"/nowhere/{number}.mp4", metadata=metadata)
            for i in range(frames):
                people, _ = keypoint_labels.predicted_labels(
                    np.zeros((1, 4)), np.ones(1), points[i : i + 1], np.full((1, 10), 0.9), size,
                    track_ids=np.ones(1, int),
                )  # fmt: skip
                sample.frames[i + 1] = fo.Frame(**{fields.PREDICTIONS: people})
            dataset.add_sample(sample)
        started = time.perf_counter()
        lp.smooth(dataset)
        smoothed = time.perf_counter()
        lp.gait(dataset, leg_length_m=0.83)
        return {
            "videos": videos,
            "frames": frames,
            "cores": os.cpu_count() or 1,
            "smooth_s": round(smoothed - started, 1),
            "gait_s": round(time.perf_counter() - smoothed, 1),
        }
    finally:
        dataset.delete()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walkers", type=int, default=12)
    parser.add_argument("--videos", type=int, default=0, help="walkers that are also drawn")
    parser.add_argument("--others", type=int, default=4, help="walkers drawn in other views")
    parser.add_argument("--imgsz", type=int, help="longer side of the network's input in px")
    parser.add_argument("--plain", action="store_true", help="predict without voting and flip test")
    parser.add_argument("--folder", help="keep the drawn videos here, and take those that are")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--mesh", type=Path, default=MESH)
    options = parser.parse_args()
    os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")
    mesh = load_mesh(options.mesh)
    walkers = draw_walkers(mesh, options.walkers)
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report["walkers"] = [walker.name for walker in walkers]
    report["true keypoints"] = from_true_keypoints(walkers)
    report["trial of a patient, side, 30 frames/s"] = patient_trial()
    if options.speed:
        report["speed"] = speed()
    if options.videos:
        size = f", network at {options.imgsz} px" if options.imgsz else ""
        report[f"drawn videos{size}"] = from_videos(mesh, walkers, options)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
