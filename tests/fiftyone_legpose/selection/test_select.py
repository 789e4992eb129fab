"""select chooses the faulty frames, apart in time, never settled ones, and repeats itself."""

import dataclasses
import os
import shutil
import zipfile

import fiftyone as fo
import numpy as np
import pytest

from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import frame_review, keypoint_labels, pose_table
from fiftyone_legpose.dataset.fields import CORRECTED, EMPTY, GROUND_TRUTH, OUT, REVIEW, SELECTED
from fiftyone_legpose.dataset.spacing import Timeline
from fiftyone_legpose.errors import DatasetError, WeightsError
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.raw_poses import RawPoses
from fiftyone_legpose.selection.select import DRAWN, select
from fiftyone_legpose.selection.strategies import choose, different_and_high, k_centre
from fiftyone_legpose.zoo.weights import find_weights
from tests.fiftyone_legpose.walking import LEG_PX, SIZE, walk

FPS = 30.0
FRAMES = 120
JUMPS = {0: (20, 60, 100), 1: (45,)}
"""Frames from 0 at which the ankle of each video jumps."""


def labels(video: int, *, shift: float = 0.0) -> list[fo.Keypoints]:
    points = walk(FRAMES, FPS) + shift
    for frame in JUMPS.get(video, ()):
        points[frame, 4] += 0.7 * LEG_PX
    confidence = np.full((FRAMES, 10), 0.9)
    confidence[80 + video] = 0.6
    rows = zip(points, confidence, strict=True)
    return [
        keypoint_labels.to_keypoints(
            [Pose(p, np.full(10, 2), confidence=c, score=0.9, track_id=1)], SIZE
        )
        for p, c in rows
    ]


@pytest.fixture(scope="module")
def predicted():
    """Two predicted videos of 4 s in which an ankle jumps, and one that nothing has predicted."""
    dataset = fo.Dataset(f"test-selection-{os.getpid()}", media_type="video")
    keypoint_labels.declare(dataset, "legpose")
    for i in range(3):
        metadata = fo.VideoMetadata(frame_width=SIZE[0], frame_height=SIZE[1], frame_rate=FPS)
        sample = fo.Sample(filepath=f"/nowhere/{i}.mp4", metadata=metadata)
        for number, label in enumerate(labels(i) if i < 2 else [None] * 5, 1):
            sample.frames[number] = fo.Frame(legpose=label)
        dataset.add_sample(sample)
    yield dataset
    dataset.delete()


@pytest.fixture
def videos(predicted, dataset_name) -> fo.Dataset:
    return predicted.clone(dataset_name)


def chosen(dataset) -> set[tuple[int, int]]:
    """(video, frame from 0) of every selected frame."""
    states, numbers = dataset.values([f"frames.{REVIEW}.state", "frames.frame_number"])
    return {
        (video, number - 1)
        for video, pair in enumerate(zip(states, numbers, strict=True))
        for state, number in zip(*pair, strict=True)
        if state == SELECTED
    }


def test_the_faulty_frames_are_chosen_with_their_reasons(videos):
    view = select(videos, count=4, easy_share=0)
    assert chosen(videos) == {(0, 20), (0, 60), (0, 100), (1, 45)}
    assert view.count("frames") == 4
    label = videos.first().frames[21][REVIEW]
    assert label.reasons[0] == "jump left_ankle"
    assert label.state == label.label == SELECTED
    assert label.score == label.confidence > 0.8
    assert videos.first().frames[2][REVIEW].score < 0.1
    assert videos.first()[frame_review.SUMMARY].max > 0.8


def test_frames_without_predictions_are_neither_scored_nor_chosen(videos):
    select(videos, count=500, min_gap_s=0, strategy="random")
    scores = videos.values(f"frames.{REVIEW}.score")
    assert scores[2] == [None] * 5
    assert len(chosen(videos)) == 2 * FRAMES


def test_the_same_call_again_changes_nothing(videos):
    first = select(videos, count=8)
    before = videos.values([f"frames.{REVIEW}", f"frames.{REVIEW}.at"])
    second = select(videos, count=8)
    assert second.values("frames.id") == first.values("frames.id")
    assert str(videos.values([f"frames.{REVIEW}", f"frames.{REVIEW}.at"])) == str(before)


def test_a_smaller_count_gives_frames_back(videos):
    select(videos, count=8)
    select(videos, count=2)
    assert len(chosen(videos)) == 2


def test_chosen_frames_are_apart_in_time(videos):
    select(videos, count=30, min_gap_s=0.3)
    for video in (0, 1):
        numbers = sorted(n for v, n in chosen(videos) if v == video)
        assert min(np.diff(numbers)) >= 0.3 * FPS


@pytest.mark.parametrize("strategy", ["review", "uncertain", "jump", "uniform", "random"])
def test_settled_frames_are_never_touched_and_kept_away_from(videos, strategy):
    ids = videos.values("frames.id")
    select(videos, count=2)
    frame_review.mark(videos, [ids[0][20]], state=OUT, key="r1", by="ana")
    frame_review.mark(videos, [ids[0][60]], state=CORRECTED, key="r1")
    frame_review.mark(videos, [ids[0][100]], state=EMPTY, key="r1")
    before = [str(videos.first().frames[n + 1][REVIEW]) for n in (20, 60, 100)]
    select(videos[:1], count=20, strategy=strategy, min_gap_s=0.1)
    assert [str(videos.first().frames[n + 1][REVIEW]) for n in (20, 60, 100)] == before
    new = sorted(n for v, n in chosen(videos) if v == 0)
    assert len(new) > 10
    assert min(abs(n - settled) for n in new for settled in (20, 60, 100)) >= 3


def test_labels_that_came_in_otherwise_are_settled_too(videos):
    keypoint_labels.declare(videos, GROUND_TRUTH)
    sample = videos.first()
    sample.frames[21][GROUND_TRUTH] = keypoint_labels.to_keypoints([], SIZE)
    sample.save()
    select(videos, count=3, easy_share=0)
    assert chosen(videos) == {(0, 60), (0, 100), (1, 45)}


def test_a_view_chooses_its_own_frames_by_the_signals_of_the_whole_video(videos):
    ids = videos.values("frames.id")
    view = videos.select_frames([ids[0][60], ids[0][10], ids[1][3]])
    select(view, count=1, easy_share=0)
    assert chosen(videos) == {(0, 60)}
    scores = videos.values(f"frames.{REVIEW}.score")
    assert sum(score is not None for sample in scores for score in sample) == 3


def test_count_per_video(videos):
    select(videos, count=2, per="video")
    assert sorted(video for video, _ in chosen(videos)) == [0, 0, 1, 1]


def test_a_share_is_drawn_at_random_and_says_so(videos):
    view = select(videos, count=10, easy_share=0.3)
    reasons = [frame for sample in view.values(f"frames.{REVIEW}.reasons") for frame in sample]
    assert sum(DRAWN in frame for frame in reasons) == 3
    other = select(videos, count=10, easy_share=0.3, seed=1)
    assert other.values("frames.id") != view.values("frames.id")


def test_uncertain_takes_the_lowest_mean_confidence(videos):
    select(videos, count=2, strategy="uncertain")
    assert chosen(videos) == {(0, 80), (1, 81)}


def test_jump_takes_the_jumps(videos):
    select(videos, count=4, strategy="jump")
    assert chosen(videos) == {(0, 20), (0, 60), (0, 100), (1, 45)}


def test_uniform_is_spread_over_each_video(videos):
    select(videos, count=4, strategy="uniform", per="video")
    assert chosen(videos) == {(v, n) for v in (0, 1) for n in (15, 45, 75, 105)}


def test_nothing_is_tagged_unless_told(videos):
    select(videos, count=3)
    assert videos.count_label_tags(f"frames.{REVIEW}") == {}
    select(videos, count=3, tag="round-1")
    assert videos.count_label_tags(f"frames.{REVIEW}") == {"round-1": 3}
    select(videos, count=3, tag="round-1")
    assert videos.count_label_tags(f"frames.{REVIEW}") == {"round-1": 3}


def test_photos_are_chosen_by_confidence_alone(dataset_name):
    dataset = fo.Dataset(dataset_name)
    keypoint_labels.declare(dataset, "legpose")
    metadata = fo.ImageMetadata(width=SIZE[0], height=SIZE[1])
    for i in range(6):
        confidence = np.full(10, 0.9 if i != 3 else 0.2)
        label = keypoint_labels.to_keypoints(
            [Pose(walk(6)[i], np.full(10, 2), confidence=confidence)], SIZE
        )
        dataset.add_sample(fo.Sample(f"/nowhere/{i}.jpg", metadata=metadata, legpose=label))
    view = select(dataset, count=1, easy_share=0)
    assert view.values("filepath")[0].endswith("3.jpg")
    assert dataset.values(f"{REVIEW}.state") == [None] * 3 + [SELECTED] + [None] * 2
    with pytest.raises(DatasetError, match="a field 'video' names it"):
        select(dataset, count=1, per="video")


def test_bad_input_is_named(videos):
    with pytest.raises(DatasetError, match="count is 0"):
        select(videos, count=0)
    with pytest.raises(DatasetError, match="no frame has predictions in field 'legpose'"):
        select(videos[2:], count=1)
    with pytest.raises(DatasetError, match="no keypoints in field 'other'"):
        select(videos, count=1, field="other")
    with pytest.raises(DatasetError, match="There is no dataset 'walks'"):
        select("walks", count=1)
    with pytest.raises(DatasetError, match="pass the videos themselves"):
        select(videos.to_clips([[[1, 5]]] * 3), count=1)


def test_k_centre_covers_every_cluster():
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    points = np.repeat(centres, 25, axis=0) + rng.normal(0, 0.1, (100, 2))
    assert sorted(k_centre(points, 4) // 25) == [0, 1, 2, 3]
    assert len(set(k_centre(np.zeros((5, 2)), 5).tolist())) == 5


def test_different_poses_are_preferred_among_high_scores():
    scores = np.array([1.0, 0.95, 0.9, 0.8, 0.1])
    poses_ = np.array([[0.0], [0.0], [0.0], [5.0], [9.0]])
    picked = different_and_high(np.arange(5), scores, poses_, 2)
    assert picked.tolist() == [0, 3]  # not 4, which is the most different and scores low


def test_frames_that_score_at_all_come_before_those_that_do_not():
    scores = np.array([0.5, 0.4, 0.0, 0.0])
    picked = different_and_high(np.arange(4), scores, np.array([[0.0], [0], [9], [5]]), 3)
    assert picked.tolist() == [0, 1, 2]


def test_uniform_takes_as_many_as_the_gap_allows():
    times = np.arange(300) / 30
    args = (np.zeros(300), np.zeros((300, 1)), np.random.default_rng(0))
    _, frames = choose(
        "uniform", np.arange(300), 40, 0, Timeline(np.zeros(300, int), times, 0.3), *args
    )
    assert len(frames) == 34
    assert np.diff(np.sort(frames)).min() >= 9


def test_uniform_goes_on_where_frames_are_taken():
    timeline = Timeline(np.zeros(100, int), np.arange(100) / 10, 0.3)
    args = (timeline, np.zeros(100), np.zeros((100, 1)), np.random.default_rng(0))
    _, first = choose("uniform", np.arange(100), 8, 0, *args)
    _, second = choose("uniform", np.arange(100), 8, 0, *args)
    assert len(first) == len(second) == 8
    assert min(abs(a - b) for a in first for b in second) >= 3


@pytest.fixture
def disagree(dataset_name, short_clip, monkeypatch):
    """Give the signal of a stored pose, of what is found in its frame, and in the mirrored one."""
    from fiftyone_legpose import load, predict
    from fiftyone_legpose.selection import mirror_disagreement

    dataset = load(short_clip, dataset_name)
    table = pose_table.read_poses(dataset, "legpose")
    width = table.sizes[0, 0]
    answers: list[list[np.ndarray]] = []
    asked = []

    class Model:
        def __init__(self, weights, inference):
            asked.append(inference)
            self.inference, self.batch = inference, 1

        def prepare(self, picture):
            return picture

        def begin(self, pictures, asked):
            points = np.array(answers.pop(0)).reshape(-1, 10, 2)
            raw = RawPoses(np.zeros((len(points), 4)), np.ones(len(points)), points, None)
            return lambda: [raw]

    def signal(stored, plain, mirrored, *, flip_test, voting=False):
        settings = {"flip_test": flip_test, "voting": voting}
        predict(dataset, imgsz=160, conf=0.2, **settings, overwrite=True)
        one = dataclasses.replace(
            pose_table.read_poses(dataset, "legpose"),
            pose_frame=np.array([0]),
            points=stored[None],
            visibility=np.full((1, 10), 2),
            track=np.array([-1]),
        )
        turned = [pose[legs.FLIP_INDEX, :] * (-1, 1) + (width, 0) for pose in mirrored]
        answers[:] = [turned, plain] if flip_test else [turned]
        asked.clear()
        monkeypatch.setattr(mirror_disagreement, "PoseModel", Model)
        frames = np.arange(len(one.frame_ids)) == 0
        told = mirror_disagreement.mirror_signal(
            dataset, one, frames, "legpose", weights=None, report=lambda *_: None
        )
        assert not answers
        assert asked[0].voting is voting
        assert asked[0].flip_test is False
        return told[0], asked[0].conf

    return signal


def test_disagreement_is_between_the_pictures_however_they_were_merged(disagree):
    pose, far = walk(2)[0], walk(2)[0] + (0.15 * LEG_PX, 0)
    apart = np.linalg.norm(pose - pose[legs.FLIP_INDEX, :], axis=1) > 0.25 * LEG_PX
    assert apart.any()
    half, conf = disagree(pose, [], [far], flip_test=False, voting=True)
    assert half == pytest.approx(np.full(10, 0.5), abs=0.05)
    assert conf == 0.2
    # The mean of both, then what one of them said.
    for stored in ((pose + far) / 2, pose, far):
        told, conf = disagree(stored, [pose], [far], flip_test=True)
        assert told == pytest.approx(half, abs=0.01)
        assert conf == 0.05  # somebody may be hardly seen in one of them
    exchanged = pose[legs.FLIP_INDEX, :]
    for stored in (pose, exchanged):
        told, _ = disagree(stored, [pose], [exchanged], flip_test=True)
        assert (told[apart] == 1).all()
    told, _ = disagree(pose, [], [pose], flip_test=True)
    assert (told == 1).all()


def test_disagreement_with_the_mirrored_frame_is_a_reason(
    dataset_name, short_clip, tmp_path, monkeypatch
):
    from fiftyone_legpose import load, predict
    from fiftyone_legpose.selection import mirror_disagreement

    asked = []

    class Asked(mirror_disagreement.PoseModel):
        def __init__(self, weights, inference):
            asked.append(inference)
            super().__init__(weights, inference)

    monkeypatch.setattr(mirror_disagreement, "PoseModel", Asked)
    dataset = load(short_clip, dataset_name)
    predict(dataset, imgsz=320, conf=0.05)
    moved = dataset.first().frames[3].legpose
    assert moved.keypoints, "the shipped weights find somebody in the clip"
    x, y = moved.keypoints[0].points[4]
    moved.keypoints[0].points[4] = [x + 0.3, y]
    dataset.set_values("frames.legpose", {dataset.first().frames[3].id: moved}, "frames.id")
    select(dataset, count=1, disagreement=True, easy_share=0)
    reasons = dataset.first().frames[3][REVIEW].reasons
    # Which joint is named depends on the weights: several may disagree as strongly as can be.
    assert any(reason.startswith("mirror disagrees") for reason in reasons)
    # What was found with less confidence is looked for with as little.
    assert asked == [Inference(imgsz=320, conf=0.05)]
    bolder = dataset.init_run(
        method="x", weights_sha256=find_weights().sha256, imgsz=320, conf=0.02
    )
    dataset.register_run("predict_bolder", bolder)
    dataset.set_values(
        "frames.legpose.made_by", {dataset.first().frames[5].id: "predict_bolder"}, "frames.id"
    )
    select(dataset, count=1, disagreement=True, easy_share=0)
    assert asked[1].conf == 0.02
    dataset.set_values("frames.legpose.made_by", [["predict_other"] * 12])
    other = dataset.init_run(method="x", weights="old", weights_sha256="0", imgsz=320)
    dataset.register_run("predict_other", other)
    with pytest.raises(DatasetError, match="made by old, not by 1;"):
        select(dataset, count=1, disagreement=True)
    unknown = shutil.copyfile(find_weights().path, tmp_path / "mine.pt")
    with zipfile.ZipFile(unknown, "a") as archive:
        archive.writestr("more", "x")
    with pytest.raises(WeightsError, match="--trust"):
        select(dataset, count=1, disagreement=True, weights=unknown)
    with pytest.raises(DatasetError, match="made by old, not by mine"):
        select(dataset, count=1, disagreement=True, weights=unknown, trust=True)
    dataset.delete_run("predict_other")
    with pytest.raises(DatasetError, match=r"'predict_other', which was deleted.* predict again"):
        select(dataset, count=1, disagreement=True)


@pytest.mark.parametrize(
    "option", [{"strategy": "sharpest"}, {"per": "videos"}, {"easy_share": 3}, {"count": 0}]
)
def test_an_option_that_is_none_is_refused(predicted, option):
    with pytest.raises(DatasetError, match=next(iter(option))):
        select(predicted, **{"count": 2, **option})
    assert not predicted.has_frame_field(REVIEW)


def test_stills_of_equally_named_videos_are_two_videos(dataset_name):
    dataset = fo.Dataset(dataset_name)
    keypoint_labels.declare(dataset, "legpose")
    metadata = fo.ImageMetadata(width=SIZE[0], height=SIZE[1])
    for place in ("P01", "P02"):
        for i in range(3):
            pose = Pose(walk(6)[i], np.full(10, 2), confidence=np.full(10, 0.9))
            dataset.add_sample(
                fo.Sample(
                    f"/nowhere/{place}/walk_{i + 1:05d}.jpg",
                    metadata=metadata,
                    legpose=keypoint_labels.to_keypoints([pose], SIZE),
                    video="walk",
                )
            )
    view = select(dataset, count=1, easy_share=0, per="video")
    assert sorted(path.split("/")[2] for path in view.values("filepath")) == ["P01", "P02"]
