import fiftyone as fo
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.prediction import predict as prediction
from fiftyone_legpose.prediction import streaming
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.kept_settings import Settings, settings_of, settle
from fiftyone_legpose.rounds import loop as rounds
from tests.fiftyone_legpose.plugin_fixtures import app_context, operator
from tests.fiftyone_legpose.prediction.test_predict import TwoPeople

CAREFUL = {"voting": True, "flip_test": True, "imgsz": 320, "repair_swaps": True}


@pytest.fixture
def videos(short_clip, dataset_name, monkeypatch) -> fo.Dataset:
    monkeypatch.setattr(streaming, "PoseModel", lambda *_, **__: TwoPeople())
    return lp.load(short_clip, dataset_name, progress=False)


def test_fewer_options_put_no_worse_points_in_the_place_of_better_ones(videos):
    better = lp.predict(videos, **CAREFUL)
    assert better.kept == {}
    again = lp.predict(videos)
    assert (again.run_key, again.frames, again.skipped) == (better.run_key, 0, 12)
    assert again.kept == {"flip_test": True, "imgsz": 320, "repair_swaps": True}
    told = "Settings as before: imgsz 320, flip_test on, repair_swaps on."
    assert prediction.describe(again).endswith(told)
    assert videos.distinct(f"frames.{fields.PREDICTIONS}.made_by") == [better.run_key]


def test_whoever_says_otherwise_gets_what_they_say(videos):
    lp.predict(videos, **CAREFUL)
    changed = lp.predict(videos, flip_test=False)
    assert changed.frames == 12
    config = videos.get_run_info(changed.run_key).config
    assert not hasattr(config, "flip_test")
    assert (config.voting, config.imgsz, config.repair_swaps) == (True, 320, True)
    bare = lp.predict(videos, track=False)
    assert videos.get_run_info(bare.run_key).config.track is None
    assert not hasattr(videos.get_run_info(bare.run_key).config, "repair_swaps")


def test_videos_that_come_later_are_predicted_as_the_others(videos, sample_clip):
    better = lp.predict(videos, **CAREFUL)
    lp.load(sample_clip, videos, progress=False)
    later = lp.predict(videos)
    assert (later.run_key, later.frames) == (better.run_key, 100)


def test_a_trial_on_a_few_frames_is_not_kept(videos):
    lp.predict(videos, **CAREFUL)
    lp.predict(videos.match_frames(fo.ViewField("frame_number") <= 3), conf=0.9, voting=False)
    before = settings_of(videos, fields.PREDICTIONS)
    assert before.inference == Inference(voting=True, flip_test=True, imgsz=320)


def test_the_frames_of_a_view_keep_what_they_were_predicted_with_themselves(videos):
    early = videos.match_frames(fo.ViewField("frame_number") <= 3)
    lp.predict(early, conf=0.5)
    lp.predict(videos.match_frames(fo.ViewField("frame_number") > 3), conf=0.25)
    assert lp.predict(early).skipped == 3


def test_another_field_has_settings_of_its_own(videos):
    lp.predict(videos, **CAREFUL)
    assert settings_of(videos, "other") == Settings()
    assert lp.predict(videos, label_field="other").kept == {}


def test_a_default_that_was_switched_off_stays_off_and_is_told(videos):
    lp.predict(videos, voting=False)
    again = lp.predict(videos)
    assert (again.frames, again.kept) == (0, {"voting": False})
    assert "as before: voting off." in prediction.describe(again)


def test_the_form_shows_what_was_there_and_the_loop_keeps_it(videos, monkeypatch, tmp_path):
    lp.predict(videos, **CAREFUL)
    form = operator("predict").resolve_input(app_context(videos, "predict", more=True)).type
    assert {name: form.properties[name].default for name in CAREFUL} == CAREFUL
    told = {}

    def note(_, **options):
        told.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(rounds, "predict", note)
    with pytest.raises(KeyboardInterrupt):
        lp.loop(videos, rounds=1, count=2, handover=tmp_path, progress=False)
    assert not set(CAREFUL) & set(told)


@pytest.mark.parametrize(
    ("before", "said", "tracker"),
    [
        (None, None, None),
        ("botsort", None, "botsort"),
        ("botsort", True, "botsort"),
        (None, True, "bytetrack"),
        ("bytetrack", "botsort", "botsort"),
        ("bytetrack", False, None),
    ],
)
def test_true_means_tracks_by_the_tracker_that_was_there(before, said, tracker):
    settings, _ = settle(Settings(track=before), {}, said, None)
    assert settings.track == tracker


def test_plain_and_no_size_take_back_what_was_there():
    careful = Settings(Inference(flip_test=True, imgsz=320))
    plain, _ = settle(careful, {"plain": True}, None, None)
    assert plain.inference == Inference(plain=True, imgsz=320)
    usual, _ = settle(careful, {"imgsz": None}, None, None)
    assert usual.inference == Inference(flip_test=True)
    kept, names = settle(Settings(Inference(plain=True)), {}, None, None)
    assert kept.inference.on == []
    assert {"plain", "voting"} <= set(names)
