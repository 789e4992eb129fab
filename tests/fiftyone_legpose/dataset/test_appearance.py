import fiftyone as fo
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.dataset import appearance, fields, frame_review, keypoint_labels
from tests.fiftyone_legpose import reviewing


@pytest.fixture(params=["videos", "images"])
def dataset(request, dataset_name, short_clip, tmp_path) -> fo.Dataset:
    if request.param == "videos":
        return reviewing.video_dataset(dataset_name, short_clip)
    return reviewing.image_dataset(dataset_name, tmp_path)


def prefixed(dataset: fo.Dataset, name: str) -> str:
    return f"frames.{name}" if dataset.media_type == "video" else name


def test_left_and_right_are_told_apart_and_edges_are_drawn(dataset):
    appearance.dress(dataset)
    scheme = fo.load_dataset(dataset.name).app_config.color_scheme
    assert scheme.multicolor_keypoints
    assert scheme.show_skeletons
    pool = scheme.color_pool
    assert tuple(pool[i % len(pool)] for i in range(len(legs.KEYPOINTS))) == legs.COLORS
    assert dataset.skeletons[fields.PREDICTIONS].labels == list(legs.KEYPOINTS)


def test_predictions_and_corrections_differ_in_colour(dataset):
    appearance.dress(dataset)
    keypoint_labels.declare(dataset, fields.GROUND_TRUTH)
    appearance.dress(dataset)
    colors = {e["path"]: e["fieldColor"] for e in dataset.app_config.color_scheme.fields}
    assert colors[prefixed(dataset, fields.GROUND_TRUTH)] == appearance.CORRECTION_COLOR
    assert colors[prefixed(dataset, fields.PREDICTIONS)] == appearance.PREDICTION_COLOR


def test_fields_are_described_and_grouped(dataset):
    appearance.dress(dataset)
    for name in (fields.PREDICTIONS, fields.REVIEW):
        assert dataset.get_field(prefixed(dataset, name)).description
    groups = {group.name: group.paths for group in dataset.app_config.sidebar_groups}
    assert prefixed(dataset, fields.PREDICTIONS) in groups[appearance.GROUP]
    listed = [path for paths in groups.values() for path in paths]
    assert len(listed) == len(set(listed))
    assert prefixed(dataset, fields.PREDICTIONS) in dataset.app_config.active_fields.paths


def test_again_changes_nothing_and_what_the_user_set_stays(dataset):
    appearance.dress(dataset)
    before = dataset.app_config.to_json()
    appearance.dress(dataset)
    assert dataset.app_config.to_json() == before

    dataset.app_config.color_scheme.color_pool = ["#123456"]
    dataset.app_config.color_scheme.fields = [
        {"path": prefixed(dataset, fields.PREDICTIONS), "fieldColor": "#654321"}
    ]
    dataset.app_config.active_fields.paths = []
    appearance.dress(dataset)
    scheme = dataset.app_config.color_scheme
    assert scheme.color_pool == ["#123456"]
    assert {"path": prefixed(dataset, fields.PREDICTIONS), "fieldColor": "#654321"} in scheme.fields
    assert dataset.app_config.active_fields.paths == []


def test_fields_that_come_later_join_the_group(dataset):
    appearance.dress(dataset)
    video = dataset.media_type == "video"
    add = dataset.add_frame_field if video else dataset.add_sample_field
    add("legpose_error", fo.FloatField)
    appearance.dress(dataset)
    mine = next(g for g in dataset.app_config.sidebar_groups if g.name == appearance.GROUP)
    assert mine.paths[-1] == prefixed(dataset, "legpose_error")


def test_saved_views_show_the_frames_that_are_in_a_state_now(dataset):
    appearance.dress(dataset)
    assert len(dataset.load_saved_view("selected frames")) == 0
    ids = reviewing.frame_ids(dataset)
    frame_review.write(
        dataset,
        {
            ids[0]: frame_review.document(0.2, [], fields.SELECTED),
            ids[1]: frame_review.document(0.9, ["jump left_knee"], fields.SELECTED),
            ids[2]: frame_review.document(0.5, [], fields.OUT),
        },
    )
    view = dataset.load_saved_view("selected frames")
    if dataset.media_type == "video":
        assert view.values("frames.frame_number") == [[1, 2]]
    else:
        assert view.values("id") == [ids[1], ids[0]]
    assert len(dataset.load_saved_view("out for review")) == 1


def test_what_evaluate_and_push_leave_behind_is_put_aside(dataset):
    add = dataset.add_frame_field if dataset.media_type == "video" else dataset.add_sample_field
    for name in ("eval_legpose_1", "legpose_out_round1"):
        keypoint_labels.declare(dataset, name)
    for name in ("eval_legpose_1_error", "legpose_error"):
        add(name, fo.FloatField)
    appearance.dress(dataset)
    before = dataset.app_config.to_json()
    appearance.dress(dataset)
    assert dataset.app_config.to_json() == before
    groups = {group.name: group for group in dataset.app_config.sidebar_groups}
    evaluated = {prefixed(dataset, n) for n in ("eval_legpose_1", "eval_legpose_1_error")}
    assert set(groups["evaluations"].paths) == evaluated
    assert groups["rounds"].paths == [prefixed(dataset, "legpose_out_round1")]
    assert not groups["evaluations"].expanded
    assert prefixed(dataset, "legpose_error") in groups[appearance.GROUP].paths
    listed = [path for group in groups.values() for path in group.paths]
    assert len(listed) == len(set(listed))
