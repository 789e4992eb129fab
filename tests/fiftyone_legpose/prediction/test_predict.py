from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

import fiftyone_legpose as lp
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, pose_table
from fiftyone_legpose.errors import DatasetError, DeviceError, MissingToolError, WeightsError
from fiftyone_legpose.prediction import label_writer, streaming
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.raw_poses import PreparedFrame, RawPoses
from fiftyone_legpose.videos import decoding
from fiftyone_legpose.videos.probe import probe
from fiftyone_legpose.zoo.ultralytics import import_ultralytics
from fiftyone_legpose.zoo.weights import find_weights
from tests.conftest import damage_frames, make_clip, turn_clip

FAST = {"backend": "torch", "imgsz": 160, "conf": 0.1}


@pytest.fixture
def videos(short_clip, dataset_name):
    return lp.load(short_clip, dataset_name)


def table(collection, field=fields.PREDICTIONS):
    return pose_table.read_poses(collection, field)


def reference(clip: Path, numbers, **settings):
    """What ultralytics itself puts out for the same frames."""
    yolo = import_ultralytics().YOLO(str(find_weights().path))
    frames = [frame for _, frame in decoding.read_frames(clip, numbers)]
    return [yolo.predict(frame, verbose=False, **settings)[0] for frame in frames]


def test_torch_agrees_with_ultralytics_on_the_same_frames(sample_clip, dataset_name):
    dataset = lp.load(sample_clip, dataset_name)
    view = dataset.match_frames(F("frame_number").is_in([3, 50, 97]))
    lp.predict(view, plain=True, backend="torch", track=False)
    found = table(view)
    results = reference(sample_clip, [3, 50, 97], conf=0.25)
    assert sum(len(r) for r in results) == len(found.points) > 0
    expected = np.concatenate([r.keypoints.data.numpy() for r in results])
    assert np.abs(found.points - expected[..., :2]).max() < 0.5
    assert np.abs(found.confidence - expected[..., 2]).max() < 0.01
    assert (
        np.abs(found.score - np.concatenate([r.boxes.conf.numpy() for r in results])).max() < 0.01
    )


@pytest.mark.parametrize("way", ["flip_test", "voting"])
def test_frames_are_predicted_anew_with_more_care_and_it_is_remembered(videos, way):
    settings = {"backend": "torch", "imgsz": 160, "conf": 0.1, "voting": False}
    bare = lp.predict(videos, **settings)
    points = table(videos).points
    careful = lp.predict(videos, **(settings | {way: True}))
    assert (careful.frames, careful.skipped) == (bare.frames, 0)
    assert getattr(videos.get_run_info(careful.run_key).config, way) is True
    again = table(videos).points
    assert points.shape != again.shape or not np.allclose(points, again)
    assert lp.predict(videos, **(settings | {way: True})).skipped == bare.frames


def test_only_frames_of_the_view_are_decoded_and_run(videos, monkeypatch):
    decoded = []
    original = decoding.read_frames

    def spy(path, numbers):
        for number, frame in original(path, numbers):
            decoded.append(number)
            yield number, frame

    monkeypatch.setattr(decoding, "read_frames", spy)
    view = videos.match_frames(F("frame_number").is_in([2, 7]))
    assert lp.predict(view, **FAST).frames == 2
    assert decoded == [2, 7]
    looked = table(videos).looked_at
    assert np.flatnonzero(looked).tolist() == [1, 6]


def test_frames_not_looked_at_are_none_and_frames_without_anybody_empty(videos):
    lp.predict(videos, every=3, backend="torch", imgsz=160, conf=1.0)
    values = videos.values("frames.legpose")[0]
    assert [v is not None for v in values] == [n % 3 == 0 for n in range(12)]
    assert all(v.keypoints == [] for v in values if v is not None)


def test_a_second_run_skips_and_overwrite_redoes(videos):
    first = lp.predict(videos, **FAST)
    before = videos.values("frames.legpose.keypoints.id")
    again = lp.predict(videos, **FAST)
    assert (first.frames, again.frames, again.skipped) == (12, 0, 12)
    assert videos.values("frames.legpose.keypoints.id") == before
    assert lp.predict(videos, overwrite=True, **FAST).frames == 12
    other = lp.predict(videos, backend="torch", imgsz=160, conf=0.2)
    assert other.frames == 12
    assert other.run_key != first.run_key
    assert videos.get_run_info(first.run_key).config.weights_sha256 == find_weights().sha256


def test_an_interruption_keeps_what_is_finished_and_ids_go_on(short_clip, videos, monkeypatch):
    lp.predict(videos, label_field="whole", **FAST)
    monkeypatch.setattr(label_writer, "_FRAMES_A_WRITE", 2)
    original = decoding.read_frames

    def interrupted(path, numbers):
        for number, frame in original(path, numbers):
            if number == 8:
                raise KeyboardInterrupt
            yield number, frame

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(decoding, "read_frames", interrupted)
        lp.predict(videos, **FAST)
    done = table(videos).looked_at.sum()
    assert 5 <= done <= 7
    summary = lp.predict(videos, **FAST)
    assert (summary.frames, summary.skipped) == (12 - done, done)
    whole, resumed = table(videos, "whole"), table(videos)
    assert np.array_equal(whole.track, resumed.track)
    assert np.allclose(whole.points, resumed.points)


class TwoPeople:
    """A model that finds one person on frames 1 to 5, and another one on frames 4 to 12."""

    backend, batch, side = "torch", 4, 288
    inference = Inference()

    def prepare(self, frame: np.ndarray, side: int | None = None) -> PreparedFrame:
        return PreparedFrame(frame, frame.shape[:2])

    def begin(self, frames: list[PreparedFrame], asked: Inference | None = None):
        return lambda: [self.find(int(frame.pixels[0, 0, 0])) for frame in frames]

    def find(self, number: int) -> RawPoses:
        lefts = [left for left, on in ((10, number <= 5), (200, number >= 4)) if on]
        boxes = np.array([(left, 20, left + 80, 220) for left in lefts], float)
        points = np.linspace(boxes[:, :2], boxes[:, 2:], 10, axis=1)
        return RawPoses(boxes, np.full(len(boxes), 0.9), points, np.full(points.shape[:2], 0.8))


@pytest.fixture
def two_people(videos, monkeypatch):
    """A video of twelve frames, each of which has its number for a colour."""
    black = np.zeros((264, 304, 3), np.uint8)
    monkeypatch.setattr(
        decoding, "read_frames", lambda path, numbers: ((n, black + n) for n in numbers)
    )
    monkeypatch.setattr(streaming, "PoseModel", lambda *_, **__: TwoPeople())
    return videos


@pytest.mark.parametrize("order", ["forwards", "backwards", "overlapping", "clips"])
def test_views_of_one_video_in_several_calls_get_the_ids_of_one_call(two_people, order):
    number = F("frame_number")
    views = {
        "forwards": [two_people.match_frames(number <= 6), two_people.match_frames(number > 6)],
        "backwards": [two_people.match_frames(number > 6), two_people.match_frames(number <= 6)],
        "overlapping": [two_people.match_frames(number > 3), two_people.match_frames(number < 9)],
        "clips": [two_people.to_clips([[[1, 3], [4, 8]]]), two_people.to_clips([[[6, 12]]])],
    }[order]
    lp.predict(two_people, label_field="whole")
    whole = table(two_people, "whole").track.tolist()
    assert set(whole) - {-1} == {1, 2}
    for view in views:
        lp.predict(view)
    assert table(two_people).track.tolist() == whole
    before = two_people.values("frames.legpose.keypoints.id")
    for view in views:
        assert lp.predict(view).frames == 0
    assert two_people.values("frames.legpose.keypoints.id") == before
    for view in views:
        lp.predict(view, overwrite=True)
        assert table(two_people).track.tolist() == whole


def test_runs_with_other_settings_share_no_id_in_a_video(two_people):
    early = two_people.match_frames(F("frame_number") <= 6)
    late = two_people.match_frames(F("frame_number") > 6)
    lp.predict(early)
    lp.predict(late, conf=0.5)
    ids = [set(table(view).track.tolist()) - {-1} for view in (early, late)]
    assert ids == [{1, 2}, {3}]
    for again in range(2):
        lp.predict(early, overwrite=bool(again))
        lp.predict(late, conf=0.5, overwrite=bool(again))
        assert [set(table(view).track.tolist()) - {-1} for view in (early, late)] == ids
    lp.predict(two_people, conf=0.5)
    assert set(table(two_people).track.tolist()) - {-1} == {1, 2}


def test_one_broken_video_does_not_stop_the_others(short_clip, dataset_name, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.mp4").write_bytes(short_clip.read_bytes())
    dataset = lp.load(tmp_path, dataset_name)
    (tmp_path / "a.mp4").unlink()
    make_clip(short_clip, tmp_path / "b.mp4", "-frames:v", "5")
    summary = lp.predict(dataset, **FAST)
    reasons = {Path(f["path"]).name: f["reason"] for f in summary.failures}
    assert set(reasons) == {"a.mp4", "b.mp4"}
    assert "gone" in reasons["a.mp4"]
    assert summary.frames == 5 + 12


def test_images_and_views_of_frames_work_alike(short_clip, videos, dataset_name, tmp_path):
    images = fo.load_dataset(
        lp.extract_frames(short_clip, tmp_path, dataset=f"{dataset_name}-i") and f"{dataset_name}-i"
    )
    assert lp.predict(images, **FAST).frames == 12
    assert table(images).looked_at.all()
    frames = videos.to_frames(sample_frames=True, output_dir=str(tmp_path / "f"))
    assert lp.predict(frames[:4], **FAST).frames == 4
    clips = videos.to_clips([[[2, 5]]])
    assert lp.predict(clips, label_field="clips", **FAST).frames == 4
    assert np.flatnonzero(table(videos, "clips").looked_at).tolist() == [1, 2, 3, 4]


def test_a_broken_image_is_reported(short_clip, dataset_name, tmp_path):
    stills = lp.extract_frames(short_clip, tmp_path, fps=5, dataset=dataset_name)
    stills[1].write_bytes(b"gone bad")
    summary = lp.predict(fo.load_dataset(dataset_name), **FAST)
    assert [f["path"] for f in summary.failures] == [str(stills[1])]
    assert summary.frames == len(stills) - 1


@pytest.mark.parametrize("kind", ["rotated", "odd", "varying"])
def test_keypoints_stand_where_the_app_draws_the_picture(kind, sample_clip, dataset_name, tmp_path):
    """Whatever becomes of the file, the same person is found at the same place of the picture."""
    plain = make_clip(sample_clip, tmp_path / "plain.mp4", "-frames:v", "4")
    if kind == "rotated":
        sideways = make_clip(plain, tmp_path / "side.mp4", "-vf", "transpose=1")
        odd = turn_clip(sideways, tmp_path / "turned.mp4")
    elif kind == "odd":
        odd = make_clip(plain, tmp_path / "odd.avi", "-vf", "scale=607:527", "-c:v", "mjpeg")
    else:
        pts = "setpts='if(gt(N,1),N+7,N)/20/TB'"
        odd = make_clip(plain, tmp_path / "vfr.mp4", "-vf", pts, "-vsync", "vfr")
    settings = {"backend": "torch", "imgsz": 320, "conf": 0.4, "track": False}
    expected = lp.load(plain, dataset_name)
    lp.predict(expected, **settings)
    shown = lp.load(odd, f"{dataset_name}-odd")
    lp.predict(shown, **settings)
    sample = shown.first()
    capture = cv2.VideoCapture(sample.filepath)
    assert capture.get(cv2.CAP_PROP_ORIENTATION_META) == 0
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == sample.metadata.frame_width
    best = [t.points[t.pose_frame == 0][0] / t.sizes[0] for t in (table(expected), table(shown))]
    assert np.abs(best[0] - best[1]).max() < 0.05


def test_a_phone_video_that_load_did_not_add_has_the_size_that_it_is_decoded_at(
    short_clip, dataset_name, tmp_path, monkeypatch
):
    class Corners(TwoPeople):
        """A model that finds one person, as large as the picture."""

        def prepare(self, frame, side=None):
            return PreparedFrame(np.zeros((32, 32, 3), np.uint8), frame.shape[:2])

        def begin(self, frames, asked=None):
            sizes = np.array([frame.shape[::-1] for frame in frames], float)
            points = np.linspace(np.zeros_like(sizes), sizes, 10, axis=1)
            boxes = np.concatenate([sizes * 0, sizes], axis=1)
            one, ten = np.ones(1), np.ones((1, 10))
            rows = zip(boxes, points, strict=True)
            return lambda: [RawPoses(box[None], one, p[None], ten) for box, p in rows]

    monkeypatch.setattr(streaming, "PoseModel", lambda *_, **__: Corners())
    dataset = fo.Dataset(dataset_name, media_type="video")
    dataset.add_sample(fo.Sample(filepath=str(turn_clip(short_clip, tmp_path / "phone.mp4"))))
    lp.predict(dataset, every=2)
    found = table(dataset)
    assert found.sizes.tolist() == [[264, 304]]
    assert found.points.max(axis=(0, 1)) == pytest.approx((264, 304))
    # A view, of which frames are done that a tracker takes up, sees the same.
    lp.predict(dataset.limit(1))
    assert np.array_equal(table(dataset).track, np.ones(12))


def test_annotated_videos_play_in_browsers(videos, tmp_path):
    from fiftyone_legpose.videos.probe import needs_copy, probe

    summary = lp.predict(videos, save_video=tmp_path / "out", **FAST)
    [saved] = map(Path, summary.videos_saved)
    facts = probe(saved)
    assert facts.frame_count == 12
    assert needs_copy(saved, facts) is None
    assert [p.name for p in (tmp_path / "out").iterdir()] == [saved.name]


def test_openvino_finds_what_torch_finds_and_exports_once(videos):
    pytest.importorskip("openvino")
    settings = {"imgsz": 320, "conf": 0.4, "track": False}
    lp.predict(videos, backend="torch", label_field="slow", **settings)
    summary = lp.predict(videos, backend="auto", **settings)
    assert summary.backend == "openvino"
    slow, fast = table(videos, "slow"), table(videos)
    assert np.array_equal(slow.pose_frame, fast.pose_frame)
    # OpenVINO computes in bfloat16 where the processor can, so points nobody is sure of wander.
    assert np.median(np.abs(slow.points - fast.points)) < 0.5
    folder = Path(fo.config.model_zoo_dir) / "legpose-exports" / find_weights().sha256
    exports = list(folder.glob("openvino*"))
    assert len(exports) == 1


@pytest.mark.parametrize("decodable", [100, 90])
def test_exchanged_legs_are_exchanged_back_where_asked(
    sample_clip, dataset_name, monkeypatch, decodable
):
    """The model is made to mix up the legs of everybody on frames 30 to 39."""
    read = decoding.read_frames

    def ending(path, numbers):
        yield from read(path, [number for number in numbers if number <= decodable])
        if max(numbers) > decodable:
            raise decoding.UnreadableError(f"the video ends after frame {decodable}")

    monkeypatch.setattr(decoding, "read_frames", ending)
    original = label_writer.keypoint_labels.predicted_documents
    calls = []

    def mixing_up(boxes, scores, points, confidence, size, **rest):
        calls.append(1)
        if 30 <= len(calls) < 40:
            points, confidence = points[:, legs.FLIP_INDEX], confidence[:, legs.FLIP_INDEX]
        return original(boxes, scores, points, confidence, size, **rest)

    dataset = lp.load(sample_clip, dataset_name)
    settings = {"backend": "torch", "imgsz": 320, "conf": 0.5}
    lp.predict(dataset, label_field="true", **settings)
    monkeypatch.setattr(label_writer.keypoint_labels, "predicted_documents", mixing_up)
    lp.predict(dataset, repair_swaps=True, **settings)
    expected, found = table(dataset, "true"), table(dataset)
    wrong = np.abs(expected.points - found.points).max(axis=(1, 2)) > 1
    walker = found.track == np.bincount(found.track[found.track >= 0]).argmax()
    assert wrong[walker].mean() < 0.05
    lp.predict(dataset, repair_swaps=True, **settings)
    assert np.array_equal(table(dataset).points, found.points)
    with pytest.raises(DatasetError, match="track"):
        lp.predict(dataset, repair_swaps=True, track=False)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"conf": 2}, "conf"),
        ({"imgsz": 100}, "imgsz"),
        ({"every": 0}, "every"),
        ({"track": "sort"}, "track"),
        ({"label_field": "frames.x"}, "label_field"),
        ({"label_field": "my legs"}, "label_field"),
        ({"every": 1.5}, "whole number"),
        ({"device": "banana"}, "no device 'banana'"),
        ({"label_field": fields.GROUND_TRUTH}, "label_field"),
    ],
)
def test_bad_settings_are_named(settings, error, videos):
    before = set(videos.get_frame_field_schema())
    with pytest.raises((DatasetError, DeviceError), match=error):
        lp.predict(videos, **settings)
    assert (set(videos.get_frame_field_schema()), videos.list_runs()) == (before, [])


def test_bad_weights_backends_and_collections_are_named(videos, dataset_name, tmp_path):
    with pytest.raises(WeightsError, match="No weights"):
        lp.predict(videos, weights=tmp_path / "none.pt")
    with pytest.raises(MissingToolError, match="no backend 'fast'"):
        lp.predict(videos, backend="fast")
    assert not videos.list_runs()  # met before anything is begun, also where nothing is left to do
    with pytest.raises(DatasetError, match="empty"):
        lp.predict(fo.Dataset(f"{dataset_name}-empty"))
    with pytest.raises(DatasetError, match="dataset or view"):
        lp.predict(["a list"])


def test_a_reader_that_stops_early_ends_its_thread(sample_clip):
    import threading

    frames = decoding.read_ahead(lambda: decoding.read_frames(sample_clip, range(1, 101)))
    next(frames)
    frames.close()
    assert not [t for t in threading.enumerate() if t.name == "legpose-decode"]


def test_a_missing_copy_is_named_by_its_original(short_clip, dataset_name, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "PoseModel", lambda *_, **__: TwoPeople())
    original = make_clip(short_clip, tmp_path / "Meier.avi", "-c:v", "mjpeg")
    dataset = lp.load(original, dataset_name)
    Path(dataset.first().filepath).unlink()
    [failure] = lp.predict(dataset).failures
    assert failure["path"] == str(original)
    assert "copy is gone: load the video again" in failure["reason"]


def test_frames_behind_a_damaged_one_are_predicted(short_clip, dataset_name, tmp_path):
    clip = make_clip(short_clip, tmp_path / "clip.mp4", "-g", "1", "-bf", "0")
    damage_frames(clip, 5)
    dataset = lp.load(clip, dataset_name)
    summary = lp.predict(dataset, save_video=tmp_path, **FAST)
    assert (summary.frames, summary.skipped) == (11, 0)
    assert summary.failures == [{"path": str(clip), "reason": "frame 5 cannot be decoded"}]
    frames = dataset.first().frames
    assert [n for n in frames if frames[n].legpose is None] == [5]
    assert probe(Path(summary.videos_saved[0])).frame_count == 12
    again = lp.predict(dataset, **FAST)
    assert (again.frames, again.skipped, len(again.failures)) == (0, 11, 1)
