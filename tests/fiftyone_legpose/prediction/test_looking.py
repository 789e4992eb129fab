"""Small people are found closer, in few looks, whatever part of a video is asked for."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose.dataset import pose_table
from fiftyone_legpose.prediction import label_writer, streaming
from fiftyone_legpose.prediction.close_look import needed_frames
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.looking import Looker
from fiftyone_legpose.prediction.person_scale import Plan
from fiftyone_legpose.prediction.raw_poses import PreparedFrame, RawPoses
from fiftyone_legpose.videos import decoding

SHAPE = (300, 1600, 3)


def frame(*lefts: int, height: int = 150) -> np.ndarray:
    """Draw people as bright blocks."""
    picture = np.zeros(SHAPE, np.uint8)
    for left in lefts:
        picture[100 : 100 + height, max(left, 0) : left + 60] = 255
    return picture


class Blocks:
    """A network that sees no block under 20 px, and places it well from 75 px of input on."""

    backend, batch, side = "torch", 2, 288

    def __init__(self, inference: Inference | None = None):
        self.inference = inference or Inference()
        self.sides: list[int] = []

    def prepare(self, picture: np.ndarray, side: int | None = None) -> PreparedFrame:
        prepared = PreparedFrame(picture, picture.shape[:2])
        object.__setattr__(prepared, "side", side or self.side)
        return prepared

    def begin(self, frames, asked=None):
        return lambda: [self.find(frame.pixels, frame.side) for frame in frames]

    def find(self, picture: np.ndarray, side: int) -> RawPoses:
        self.sides.append(side)
        scale = side / max(picture.shape[:2])
        *_, stats, _ = cv2.connectedComponentsWithStats(picture[..., 0])
        rows = [row[:4] for row in stats[1:] if row[3] * scale >= 20]
        corners = np.array(rows, float).reshape(-1, 4)
        boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
        off = [0 if row[3] * scale >= 75 else 30 for row in rows]
        points = np.linspace(boxes[:, :2], boxes[:, 2:], 10, axis=1)
        points[..., 0] += np.array(off).reshape(-1, 1)
        return RawPoses(boxes, np.full(len(rows), 0.9), points, np.ones(points.shape[:2]))


def walks(*starts: int, frames: int = 20) -> Iterator[tuple[int, np.ndarray]]:
    """Yield frames of people who walk to the right at 6 px a frame."""
    for number in range(1, frames + 1):
        yield number, frame(*(start + 6 * number for start in starts))


def lefts(found) -> dict[int, list[float]]:
    return {number: sorted(raw.points[:, 0, 0].tolist()) for number, _, raw in found}


def test_small_people_are_looked_for_at_more_sizes_and_large_ones_once():
    looker = Looker(Blocks())
    plan = looker.plan([frame(300), frame(600)])
    assert (plan.look_px, plan.close) == (288, True)
    assert set(looker.model.sides) == {288, 576, 1152}
    looker = Looker(Blocks())
    assert looker.plan([frame(300)[80:280, 250:450]]).close is False
    assert looker.model.sides == [288]
    assert looker.plan([]) == Plan(288, close=False, leg_px=None)


def test_people_are_placed_as_in_a_closer_look():
    looker = Looker(Blocks(Inference(close_look=True)))
    [raw] = looker.look([frame(300, 900)])
    assert sorted(raw.points[:, 0, 0].tolist()) == [300, 900]
    assert [len(one.scores) for one in looker.look([frame(), frame(20)])] == [0, 1]
    [plain] = Looker(Blocks(Inference(plain=True))).look([frame(300)])
    assert plain.points[0, 0, 0] == 330
    large = Looker(Blocks(Inference(close_look=True)))
    [once] = large.look([frame(300)[80:280, 250:450]])
    assert (len(once.scores), large.model.sides) == (1, [288])


def test_whole_frames_are_looked_at_now_and_then():
    looker, plan = Looker(Blocks()), Plan(576, close=True, leg_px=60)
    found = lefts(looker.watch(walks(0, 700), range(1, 21), plan))
    assert found == {n: [6 * n, 700 + 6 * n] for n in range(1, 21)}
    assert looker.model.sides.count(576) == 4
    assert looker.model.sides.count(224) == 40


def test_who_comes_and_goes_is_seen_on_every_frame():
    def passing():
        for number in range(1, 21):
            yield number, frame(*([600] if number >= 5 else []), *([200] if number < 14 else []))

    looker, plan = Looker(Blocks()), Plan(576, close=True, leg_px=60)
    found = lefts(looker.watch(passing(), range(1, 21), plan))
    assert found == {n: [200] * (n < 14) + [600] * (n >= 5) for n in range(1, 21)}


def test_who_turns_back_between_two_looks_is_found_again():
    def jumping():
        for number in range(1, 10):
            yield number, frame(300 if number in (1, 9) else 700)

    looker, plan = Looker(Blocks()), Plan(576, close=True, leg_px=60)
    found = lefts(looker.watch(jumping(), range(1, 10), plan))
    assert found == {n: [300 if n in (1, 9) else 700] for n in range(1, 10)}


def test_the_rest_of_a_video_is_found_as_if_never_interrupted():
    plan, numbers = Plan(576, close=True, leg_px=60), list(range(1, 21))
    whole = lefts(Looker(Blocks()).watch(walks(0, 700), numbers, plan))
    for todo in ([12, 13], [20], list(range(7, 21))):
        needed = needed_frames(numbers, todo)
        some = ((n, f) for n, f in walks(0, 700) if n in needed)
        part = lefts(Looker(Blocks()).watch(some, numbers, plan))
        assert {n: part[n] for n in todo} == {n: whole[n] for n in todo}


def test_frames_before_a_broken_one_are_found():
    plan = Plan(576, close=True, leg_px=60)
    found = lefts(Looker(Blocks()).watch(walks(0, frames=13), range(1, 21), plan))
    assert found == {n: [6 * n] for n in range(1, 14)}


@pytest.fixture
def wide(short_clip, dataset_name, monkeypatch):
    """A video of twelve frames, 1600 px wide, in which somebody small walks."""
    looked: list[int] = []

    def read(path, numbers):
        for number, picture in walks(100, frames=12):
            if number in set(numbers):
                looked.append(number)
                yield number, picture

    monkeypatch.setattr(decoding, "read_frames", read)
    monkeypatch.setattr(decoding, "read_some", lambda path, numbers: iter([frame(300)]))
    monkeypatch.setattr(streaming, "PoseModel", lambda weights, asked: Blocks(asked))
    dataset = lp.load(short_clip, dataset_name)
    return dataset, looked


def test_predict_looks_closer_and_says_so_in_its_run(wide):
    dataset, _ = wide
    summary = lp.predict(dataset, close_look=True)
    table = pose_table.read_poses(dataset, "legpose")
    assert table.points[:, 0, 0].tolist() == pytest.approx([100 + 6 * n for n in range(1, 13)])
    assert set(table.track.tolist()) == {1}
    config = dataset.get_run_info(summary.run_key).config
    assert config.close_look is True
    [look] = config.looks.values()
    assert (look["close"], look["look_px"]) == (True, 288)
    assert lp.predict(dataset).frames == 0
    lp.predict(dataset, plain=True, label_field="plain")
    plain = pose_table.read_poses(dataset, "plain").points[:, 0, 0]
    assert plain == pytest.approx(table.points[:, 0, 0] + 30)


def test_an_interrupted_prediction_goes_on_as_planned(wide, monkeypatch):
    dataset, looked = wide
    lp.predict(dataset, close_look=True, label_field="whole")
    monkeypatch.setattr(label_writer, "_FRAMES_A_WRITE", 2)
    read = decoding.read_frames

    def interrupted(path, numbers):
        for number, picture in read(path, numbers):
            if number == 11:
                raise KeyboardInterrupt
            yield number, picture

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(decoding, "read_frames", interrupted)
        lp.predict(dataset, close_look=True)
    done = int(pose_table.read_poses(dataset, "legpose").looked_at.sum())
    assert 0 < done < 12
    looked.clear()
    # Nobody would be found in these frames: what was planned at first counts.
    monkeypatch.setattr(decoding, "read_some", lambda path, numbers: iter([frame()]))
    summary = lp.predict(dataset, close_look=True)
    assert (summary.frames, summary.skipped) == (12 - done, done)
    assert looked[0] >= done - 8
    whole, resumed = (pose_table.read_poses(dataset, name) for name in ("whole", "legpose"))
    assert np.allclose(whole.points, resumed.points)
    assert np.array_equal(whole.track, resumed.track)
