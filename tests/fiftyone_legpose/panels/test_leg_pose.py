from dataclasses import replace

import fiftyone as fo
import numpy as np
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, frame_review, keypoint_labels
from fiftyone_legpose.evaluation.evaluate import evaluate
from fiftyone_legpose.evaluation.intervals import Estimate
from fiftyone_legpose.evaluation.plain_words import tell
from fiftyone_legpose.panels import figures
from fiftyone_legpose.panels.leg_pose import LegPose
from fiftyone_legpose.panels.tracks import Track, curve, read_track
from fiftyone_legpose.panels.worst import worst_frames
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.plugin_fixtures import NAME, app_context


@pytest.fixture
def video(dataset_name, short_clip) -> fo.Dataset:
    return reviewing.video_dataset(dataset_name, short_clip)


def mark(dataset: fo.Dataset, state: str, *positions: int) -> None:
    ids = reviewing.frame_ids(dataset)
    frame_review.mark(dataset, [ids[i] for i in positions], state=state)


def correct(dataset: fo.Dataset, *positions: int, by_px: float = 0.0) -> None:
    """Label frames as a reviewer would who moves every point of the first person to the right."""
    keypoint_labels.declare(dataset, fields.GROUND_TRUTH)
    values = [None] * reviewing.CLIP_FRAMES
    for i in positions:
        shown = reviewing.people(dataset, fields.PREDICTIONS, i)
        shown[0] = replace(shown[0], points=shown[0].points + (by_px * (i + 1), 0))
        values[i] = keypoint_labels.to_keypoints(shown, reviewing.SIZE)
    dataset.set_values(f"frames.{fields.GROUND_TRUTH}", [values])
    mark(dataset, fields.CORRECTED, *positions)


def panel_context(dataset: fo.Dataset, current: str | None = None, **params):
    context = app_context(dataset, "leg_pose", panel_id="p", panel_state={}, **params)
    context.request_params["current_sample"] = current
    return context


def requests(context) -> list[tuple[str, dict]]:
    return [(one.operator_uri, one.params) for one in context.executor._requests]


def test_a_track_has_gaps_where_nobody_was_found(video):
    track = read_track(video, video.first().id, fields.PREDICTIONS)
    assert np.flatnonzero(np.isnan(track.confidence)).tolist() == [2, 3]
    assert track.persons == {0: 10, 1: 10}
    assert track.time_s[1] == pytest.approx(1 / 20)
    other = read_track(video, video.first().id, fields.PREDICTIONS, person=1)
    assert not np.allclose(other.points[0], track.points[0], equal_nan=True)


def test_a_video_without_predictions_has_no_track(dataset_name, short_clip):
    dataset = fo.Dataset(dataset_name)
    dataset.add_sample(fo.Sample(filepath=str(short_clip)))
    dataset.ensure_frames()
    keypoint_labels.declare(dataset, fields.PREDICTIONS)
    assert read_track(dataset, dataset.first().id, fields.PREDICTIONS) is None


def a_track(points: np.ndarray, **changes) -> Track:
    frames = len(points)
    values = {
        "sample_id": "s",
        "frame": np.arange(1, frames + 1),
        "time_s": np.arange(frames) / 10,
        "confidence": np.full(frames, 0.8),
        "points": points,
        "score": np.full(frames, 0.3),
        "reasons": [[] for _ in range(frames)],
        "state": np.array([None] * frames, object),
        "persons": {1: frames},
        "person": 1,
    }
    return Track(**{**values, **changes})


def test_a_straight_knee_is_180_and_a_bent_one_90_degrees():
    points = np.full((2, len(legs.KEYPOINTS), 2), np.nan)
    place = {name: i for i, name in enumerate(legs.KEYPOINTS)}
    for frame, ankle in ((0, (0.0, 20.0)), (1, (10.0, 10.0))):
        points[frame, place["left_hip"]] = (0, 0)
        points[frame, place["left_knee"]] = (0, 10)
        points[frame, place["left_ankle"]] = ankle
    sides = curve(a_track(points), "knee angle")
    assert sides["left"] == pytest.approx([180, 90])
    assert np.isnan(sides["right"]).all()


def test_height_grows_upwards():
    points = np.zeros((2, len(legs.KEYPOINTS), 2))
    points[0, :, 1], points[1, :, 1] = 100, 40
    sides = curve(a_track(points), "heel height")
    assert sides["left"][1] - sides["left"][0] == 60
    assert sides["left"].min() >= 0


def test_the_timeline_marks_jumps_gaps_and_chosen_frames():
    track = a_track(
        np.zeros((5, 10, 2)),
        confidence=np.array([0.9, np.nan, np.nan, 0.7, 0.8]),
        reasons=[[], [], [], ["jump left_knee"], ["low confidence"]],
        state=np.array([None, None, None, fields.SELECTED, fields.CORRECTED], object),
    )
    traces = {trace["name"]: trace for trace in figures.timeline(track)}
    assert traces["confidence"]["y"] == [0.9, None, None, 0.7, 0.8]
    assert traces["not found"]["x"][:4] == pytest.approx([0.05, 0.05, 0.25, 0.25])
    assert traces["jump or swap"]["x"] == [0.3]
    assert traces[fields.SELECTED]["x"] == [0.3]
    assert traces[fields.CORRECTED]["x"] == [0.4]
    colors = [trace["line"]["color"] for trace in figures.trajectory(track, "knee angle")]
    assert colors == [legs.LEFT_COLOR, legs.RIGHT_COLOR]


def drawn(context) -> dict[str, dict]:
    """Give what the panel lays out after it was opened, by name."""
    LegPose().on_load(context)
    return LegPose().render(context).to_json()["type"]["properties"]


def points(layout: dict[str, dict], plot: str) -> dict[str, int]:
    return {trace["name"]: len(trace["x"]) for trace in layout[plot]["view"]["data"]}


def test_opening_a_video_draws_it_and_a_click_goes_to_the_frame(video):
    sample = video.first().id
    layout = drawn(panel_context(video, sample))
    assert points(layout, "timeline")["confidence"] == reviewing.CLIP_FRAMES
    assert {"trajectory", "curve_choice", "counts", "steps"} <= set(layout)
    assert next(iter(layout)) == "video_name"

    click = panel_context(video, sample, x=0.25)
    LegPose().go_to_time(click)
    assert requests(click)[-1] == (f"{NAME}/go_to_frame", {"sample": None, "frame": 6})


def test_no_list_is_sent_that_the_app_would_merge_with_the_one_before(video):
    """The App merges lists in a panel's data and state by position: see `LegPose.render`."""
    correct(video, 0, 5, by_px=2.0)
    evaluate(video, resamples=5, progress=False)
    for current in (None, video.first().id):
        context = panel_context(video, current, value="knee angle")
        panel = LegPose()
        for event in (panel.on_load, panel.refresh, panel.show_person, panel.show_curve):
            event(context)
            panel.render(context)
        sent = requests(context)
        assert "patch_panel_data" not in dict(sent)
        states = [params["state"] for name, params in sent if name == "patch_panel_state"]
        assert not [v for state in states for v in state.values() if isinstance(v, list | dict)]


def test_each_video_has_persons_and_a_choice_of_its_own(dataset_name, short_clip):
    dataset = reviewing.video_dataset(dataset_name, short_clip, short_clip)
    first, second = dataset.values("id")
    for frame in dataset[second].frames.values():
        people = frame[fields.PREDICTIONS]
        if people is not None and people.keypoints:
            people.keypoints[0].index, people.keypoints[1].index = 7, 8
            frame.save()
    context = panel_context(dataset, first)
    context.panel.state.set(f"person_of_{first}", "1")
    assert drawn(context)[f"person_of_{first}"]["default"] == "1"
    other = panel_context(dataset, second)
    other.panel.state.set(f"person_of_{first}", "1")
    assert drawn(other)[f"person_of_{second}"]["default"] == "7"
    gone = panel_context(dataset, second)
    gone.panel.state.set(f"person_of_{second}", "1")
    assert drawn(gone)[f"person_of_{second}"]["default"] == "7"
    assert gone.panel.state.get(f"person_of_{second}") == "7"


def test_a_click_that_moves_the_video_alone_draws_nothing_anew(video):
    click = panel_context(video, video.first().id, x=0.25, __method__="go_to_time")
    LegPose().execute(click)
    assert [name for name, _ in requests(click)] == [f"{NAME}/go_to_frame"]


def test_a_video_that_was_never_predicted_can_be_opened(dataset_name, short_clip):
    dataset = fo.Dataset(dataset_name)
    dataset.add_sample(fo.Sample(filepath=str(short_clip)))
    assert {"counts", "steps"} <= set(drawn(panel_context(dataset, dataset.first().id)))


@pytest.mark.parametrize(
    ("measure", "estimate", "told"),
    [
        ("found", Estimate(0.913, 0.8, 0.956), "91 % (80 to 96)"),
        ("median_px/all/all", Estimate(3.14, None, None), "3.1 px"),
        ("oks", Estimate(0.987, 0.9, 1.0), "0.99 (0.90 to 1.00)"),
        ("found", Estimate(None, None, None), "nothing to measure"),
    ],
)
def test_numbers_have_units(measure, estimate, told):
    assert tell(measure, estimate) == told


def test_versions_have_the_names_that_the_forms_give_them():
    names = ["legpose", "legpose-yolov8n", "legpose-yolov8n@round1", "my_field"]
    shown = [figures.shown_name(name) for name in names]
    assert shown == ["stored predictions", "1", "round1", "my_field"]


def test_a_verbs_button_opens_its_form_and_counts_again(video):
    context = panel_context(video, verb="predict")
    panel = LegPose()
    panel.plugin_name = NAME
    panel.run(context)
    name, params = requests(context)[-1]
    assert name == "prompt_user_for_operation"
    assert params["operator_uri"] == f"{NAME}/predict"
    assert params["on_success"].endswith("#refresh")


def test_a_playable_copy_bears_the_name_of_its_original(video):
    video.add_sample_field("source", fo.StringField)
    video.set_values("source", ["/ward/miller/P01.mov"])
    correct(video, 0, by_px=2.0)
    rows = worst_frames(video, evaluate(video, resamples=5, progress=False))
    assert {row["video"] for row in rows} == {"P01.mov"}
    layout = drawn(panel_context(video, current=video.first().id))
    assert "**P01.mov**" in layout["video_name"]["default"]


def test_the_comparison_lists_the_worst_frames_and_opens_them(video):
    correct(video, 0, 5, 8, by_px=2.0)
    evaluation = evaluate(video, resamples=5, progress=False)
    rows = worst_frames(video, evaluation)
    assert [row["frame"] for row in rows] == [9, 6, 1]
    assert rows[0]["video"] == "short.mp4"
    bars = figures.joint_errors(evaluation)[0]
    assert len(bars["x"]) == len(legs.KEYPOINTS)
    assert figures.pck_curves(evaluation)[0]["x"] == [0.05, 0.1, 0.2]
    rows = figures.headlines(evaluation)
    assert rows[1]["measure"] == "Points within a tenth of a leg length"
    assert rows[1]["term"].startswith("PCK@0.1")
    assert rows[1]["version_0"].endswith("%")
    assert rows[2]["version_0"].endswith("px")

    worst = f"worst_{evaluation.key}"
    layout = drawn(panel_context(video))
    assert {"joint_errors", "pck"} <= set(layout)
    assert [row["frame"] for row in layout[worst]["default"]] == [9, 6, 1]

    opened = panel_context(video, row=1, path=worst)
    LegPose().open_worst(opened)
    sample = video.first().id
    assert requests(opened)[-2:] == [
        ("open_sample", {"id": sample, "group_id": None}),
        (f"{NAME}/go_to_frame", {"sample": sample, "frame": 6}),
    ]
