"""The annotation backend `cvat-skeleton`, used as FiftyOne's own: annotate, load, clean up."""

import json
import os
import sys

import cv2
import fiftyone as fo
import fiftyone.core.config as foc
import numpy as np
import pytest
from fiftyone import ViewField as F

import fiftyone_legpose  # noqa: F401  (announces the backend)
from cvat_bridge.errors import CvatError
from fiftyone_legpose.cvat.announce import announce_backend
from fiftyone_legpose.cvat.backend import CvatSkeletonBackendConfig
from fiftyone_legpose.cvat.results import load_results
from fiftyone_legpose.errors import DatasetError
from tests.cvat_server import CvatServer, Fault

BACKEND = "cvat-skeleton"
SIZE = (200, 100)
NAN = (float("nan"), float("nan"))
SKELETON = fo.KeypointSkeleton(labels=["nose", "tail", "ear tip"], edges=[[0, 1, 2]])


@pytest.fixture
def server(cvat_server: CvatServer, monkeypatch: pytest.MonkeyPatch) -> CvatServer:
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_USERNAME", cvat_server.user)
    monkeypatch.setenv("FIFTYONE_CVAT_PASSWORD", cvat_server.password)
    return cvat_server


def two_dogs() -> fo.Keypoints:
    """One of two has a missing point and one outside of the picture."""
    first = fo.Keypoint(label="dog", index=7, points=[(0.1, 0.2), NAN, (1.25, 0.5)])
    second = fo.Keypoint(label="dog", points=[(0.5, 0.6), (0.6, 0.6), (0.7, 0.75)])
    return fo.Keypoints(keypoints=[first, second])


@pytest.fixture(params=["images", "videos", "frames"])
def case(request, dataset_name, short_clip, tmp_path):
    """A dataset, a view of its first three frames, and the field to annotate."""
    dataset = fo.Dataset(dataset_name)
    if request.param == "images":
        for i in range(4):
            path = tmp_path / f"{i}.png"
            cv2.imwrite(str(path), np.full((SIZE[1], SIZE[0], 3), 10 * i, np.uint8))
            dataset.add_sample(fo.Sample(filepath=str(path), dogs=two_dogs()))
        dataset.skeletons = {"dogs": SKELETON}
        yield dataset, dataset[:3], "dogs"
        return
    sample = fo.Sample(filepath=str(short_clip))
    for number in range(1, 5):
        sample.frames[number] = fo.Frame(dogs=two_dogs())
    dataset.add_sample(sample)
    dataset.default_skeleton = SKELETON
    view = dataset.match_frames(F("frame_number") <= 3)
    if request.param == "videos":
        yield dataset, view, "frames.dogs"
        return
    stills = view.to_frames(sample_frames=True, sparse=True, output_dir=str(tmp_path))
    yield dataset, stills, "dogs"


def dogs(dataset: fo.Dataset, field: str = "dogs") -> list[list[fo.Keypoint]]:
    """The labels of the first four frames; `to_frames` makes the others too."""
    if dataset.media_type == "image":
        return dataset.values(f"{field}.keypoints")
    return dataset.values(f"frames.{field}.keypoints")[0][:4]


def plain(dataset: fo.Dataset) -> str:
    return json.dumps(
        [[(k.id, k.label, k.index, k.points) for k in frame] for frame in dogs(dataset)]
    )


def load(dataset: fo.Dataset, view, key: str, **options) -> None:
    # FiftyOne edits frames of a view of frames through that view.
    (view if view._is_frames else dataset).load_annotations(key, **options)


def test_annotate_and_load_as_with_any_backend(case, server):
    dataset, view, field = case
    view.annotate("r1", backend=BACKEND, label_field=field)
    [task] = server.tasks.values()
    [label] = server.state.labels_of(task)
    assert (label.name, [sub.name for sub in label.sublabels]) == ("dog", SKELETON.labels)
    assert len(task.frames) == 3
    first, second = server.skeletons(task.id, 0)
    width, height = task.frames[0].width, task.frames[0].height
    assert first["elements"][2]["points"] == pytest.approx([1.25 * width, 0.5 * height])
    assert [element["outside"] for element in first["elements"]] == [False, True, False]
    assert second["elements"][2]["points"] == pytest.approx([0.7 * width, 0.75 * height])

    before = plain(dataset)
    server.move_point(task.id, 1, "nose", (30.0, 40.0), visibility=1)
    server.remove_skeleton(task.id, 0, person=1)
    server.add_skeleton(task.id, 2, [(1, 1), (2, 2), (3, 3)], [2, 1, 0])
    load(dataset, view, "r1")
    assert plain(dataset) == before  # no job is completed yet

    server.complete_jobs(task.id)
    ids = [[keypoint.id for keypoint in frame] for frame in dogs(dataset)]
    load(dataset, view, "r1")
    after = dogs(dataset)
    assert [[keypoint.id for keypoint in frame] for frame in after][:2] == [ids[0][:1], ids[1]]
    assert [len(frame) for frame in after] == [1, 2, 3, 2]
    moved = after[1][0]
    assert moved.points[0] == pytest.approx([30 / width, 40 / height])
    assert np.isnan(moved.points[1]).all()
    assert (moved.visible, moved.label) == ([1, 0, 2], "dog")
    assert moved.index == 7
    assert after[2][2].visible == [2, 1, 0]
    assert after[3][0].points[0] == [0.1, 0.2]

    once = plain(dataset)
    load(dataset, view, "r1")
    assert plain(dataset) == once
    assert dataset.list_annotation_runs(method=BACKEND) == ["r1"]


def test_half_finished_work_is_loaded_half_and_completed_later(case, server):
    dataset, view, field = case
    view.annotate("r1", backend=BACKEND, label_field=field, segment_size=1)
    for frame in (0, 1):
        server.move_point(1, frame, "tail", (60.0, 50.0), visibility=2)
        server.add_skeleton(1, frame, [(1, 1), (2, 2), (3, 3)])
    server.complete_jobs(1, [0])
    load(dataset, view, "r1")
    assert [len(frame) for frame in dogs(dataset)] == [3, 2, 2, 2]
    server.complete_jobs(1)
    load(dataset, view, "r1")
    assert [len(frame) for frame in dogs(dataset)] == [3, 3, 2, 2]
    assert not np.isnan(dogs(dataset)[1][0].points).any()


def test_into_another_field(case, server):
    dataset, view, field = case
    view.annotate("r1", backend=BACKEND, label_field=field, segment_size=2)
    server.complete_jobs(1, [0])
    before = plain(dataset)
    load(dataset, view, "r1", dest_field=field.replace("dogs", "checked"))
    assert plain(dataset) == before
    loaded = dogs(dataset, "checked")
    assert [len(frame or []) for frame in loaded] == [2, 2, 0, 0]


def test_a_run_is_cleaned_up_and_deleted(case, server):
    dataset, view, field = case
    results = view.annotate("r1", backend=BACKEND, label_field=field, frames_per_task=2)
    assert len(server.tasks) == 2
    results.cleanup()
    assert server.tasks == {}
    dataset.delete_annotation_run("r1")
    assert dataset.list_annotation_runs() == []
    assert [len(frame) for frame in dogs(dataset)] == [2, 2, 2, 2]


def test_no_login_is_stored(case, server):
    dataset, view, field = case
    view.annotate("r1", backend=BACKEND, label_field=field, token=server.token)
    results = dataset.load_annotation_results("r1", cache=False)
    stored = str(dataset.get_annotation_info("r1").serialize()) + str(results.serialize())
    for secret in (server.token, server.password, server.user):
        assert secret not in stored.replace("administrator", "")


def test_a_failed_or_interrupted_annotate_can_be_repeated(case, server):
    dataset, view, field = case
    with pytest.raises(CvatError):
        view.annotate("r1", backend=BACKEND, label_field=field, token="wrong")
    assert dataset.list_annotation_runs() == []
    server.arm({})
    view.annotate("r0", backend=BACKEND, label_field=field, frames_per_task=2)
    last = len(server.log)
    server.reset()
    server.arm({last - 4: Fault(500)})
    with pytest.raises(CvatError):
        view.annotate("r1", backend=BACKEND, label_field=field, frames_per_task=2)
    assert dataset.list_annotation_runs() == ["r0", "r1"]
    for task in server.tasks.values():
        task.name = "renamed"
    view.annotate("r1", backend=BACKEND, label_field=field, frames_per_task=2)
    assert sorted(len(task.frames) for task in server.tasks.values()) == [1, 2]
    with pytest.raises(ValueError, match="already exists"):
        view.annotate("r1", backend=BACKEND, label_field=field)


def test_an_interrupted_annotate_goes_on_with_its_own_frames_alone(case, server):
    _, view, field = case
    ids = view.values("id") if field == "dogs" else view.values("frames.id", unwind=True)
    one = view.select if field == "dogs" else view.select_frames
    options = {"backend": BACKEND, "label_field": field, "frames_per_task": 1}
    server.arm({})
    one(ids[:2]).annotate("r0", **options)
    last = max(i for i, (method, _) in enumerate(server.log) if method == "PUT")
    server.reset()
    server.arm({last: Fault(500)})
    with pytest.raises(CvatError):
        one(ids[:2]).annotate("r1", **options)
    server.arm({})
    with pytest.raises(DatasetError, match="'r1' was interrupted with other frames"):
        one(ids[1:]).annotate("r1", **options)
    another = {**options, "label_field": field.replace("dogs", "cats")}
    with pytest.raises(
        DatasetError, match="'r1' was interrupted with the field 'dogs', not 'cats'"
    ):
        one(ids[:2]).annotate("r1", **another, label_type="keypoints", classes=["dog"])
    assert server.log == []
    done = one(ids[:2]).annotate("r1", **options)
    assert [task.frames for task in done.run.tasks] == [1, 1]
    assert len(server.tasks) == 2


def test_a_failed_annotate_forgets_no_task_that_was_sent(case, server):
    dataset, view, field = case
    options = {"backend": BACKEND, "label_field": field, "frames_per_task": 2}
    server.arm({})
    view.annotate("r0", **options)
    last = max(i for i, (method, _) in enumerate(server.log) if method == "PUT")
    server.reset()
    server.arm({last: Fault(500)})
    with pytest.raises(CvatError):
        view.annotate("r1", **options)
    with pytest.raises(CvatError):
        view.annotate("r1", **options, token="wrong")
    assert [task.id for task in load_results(dataset, "r1").run.tasks] == [1]


def test_a_new_field_is_annotated_from_nothing(case, server):
    dataset, view, field = case
    new = field.replace("dogs", "cats")
    dataset.default_skeleton = SKELETON
    if view._is_frames:
        view.reload()
    view.annotate("r1", backend=BACKEND, label_field=new, label_type="keypoints", classes=["cat"])
    server.add_skeleton(1, 1, [(20, 10), (40, 20), (60, 30)])
    server.complete_jobs(1)
    load(dataset, view, "r1")
    found = dogs(dataset, "cats")
    assert [len(frame or []) for frame in found] == [0, 1, 0, 0]
    assert found[1][0].label == "cat"


def test_what_it_cannot_do_is_said(dataset_name, server, tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    dataset = fo.Dataset(dataset_name)
    dataset.add_sample(fo.Sample(filepath=str(path), dogs=two_dogs(), more=two_dogs()))
    with pytest.raises(DatasetError, match=r"no skeleton with names for field 'dogs'"):
        dataset.annotate("r1", backend=BACKEND, label_field="dogs")
    dataset.default_skeleton = SKELETON
    with pytest.raises(DatasetError, match="one keypoint field a run"):
        dataset.annotate("r1", backend=BACKEND, label_schema=["dogs", "more"])
    with pytest.raises(DatasetError, match="use up to 48 letters"):
        dataset.annotate("_r1", backend=BACKEND, label_field="dogs")
    dataset.default_skeleton = fo.KeypointSkeleton(labels=["a", "b"], edges=[])
    with pytest.raises(DatasetError, match="have 3 points, their skeleton has 2"):
        dataset.annotate("r1", backend=BACKEND, label_field="dogs")
    assert dataset.list_annotation_runs() == []
    assert server.tasks == {}


def picture(folder, name: str = "a") -> str:
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    return str(path)


def keypoint(label: str, x: float, **attributes) -> fo.Keypoint:
    points = [(x, 0.2), (x + 0.1, 0.3), (x + 0.2, 0.2)]
    return fo.Keypoint(label=label, points=points, **attributes)


@pytest.fixture
def zoo(dataset_name, tmp_path) -> fo.Dataset:
    """One picture of a dog who sits and a cat who runs; labels have no index."""
    dataset = fo.Dataset(dataset_name)
    dataset.default_skeleton = SKELETON
    labels = [keypoint("dog", 0.1, action="sit"), keypoint("cat", 0.6, action="run")]
    dataset.add_sample(fo.Sample(filepath=picture(tmp_path), pets=fo.Keypoints(keypoints=labels)))
    return dataset


def set_visible(dataset: fo.Dataset, visible) -> None:
    """On the first label, where no schema looks at what it is."""
    sample = dataset.first()
    sample.pets.keypoints[0]["visible"] = visible
    sample.save()


def known(dataset: fo.Dataset) -> list[tuple[str, str, str]]:
    return [(k.id, k.label, k["action"]) for k in dataset.first().pets.keypoints]


@pytest.mark.parametrize("sent", ["both", "one of them"])
def test_two_labels_of_one_index_stay_two(dataset_name, short_clip, server, sent):
    """FiftyOne tells tracks apart by class and index."""
    dataset = fo.Dataset(dataset_name)
    dataset.default_skeleton = SKELETON
    sample = fo.Sample(filepath=str(short_clip))
    for number in (1, 2):
        pair = [keypoint("dog", 0.1, index=1), keypoint("cat", 0.6, index=1)]
        sample.frames[number] = fo.Frame(dogs=fo.Keypoints(keypoints=pair))
    dataset.add_sample(sample)
    before = plain(dataset)
    view = dataset if sent == "both" else dataset.filter_labels("frames.dogs", F("label") == "dog")
    view.annotate("r1", backend=BACKEND, label_field="frames.dogs")
    assert len(server.skeletons(1, 0)) == (2 if sent == "both" else 1)
    server.complete_jobs(1)
    dataset.load_annotations("r1")
    assert plain(dataset) == before
    server.move_point(1, 1, "nose", (30.0, 40.0), person=1 if sent == "both" else 0)
    dataset.load_annotations("r1")
    after = dogs(dataset)
    moved = after[1][1 if sent == "both" else 0]
    assert moved.points[0][0] == pytest.approx(30 / server.tasks[1].frames[0].width)
    assert [[k.label for k in frame] for frame in after] == [["dog", "cat"]] * 2
    assert [k.index for frame in after for k in frame] == [1] * 4


def test_whoever_is_moved_far_is_still_known(zoo, server):
    before = known(zoo)
    zoo.annotate("r1", backend=BACKEND, label_field="pets")
    for number, name in enumerate(SKELETON.labels):
        server.move_point(1, 0, name, (20.0 + number, 90.0), person=1)
    server.complete_jobs(1)
    zoo.load_annotations("r1")
    assert known(zoo) == before
    assert zoo.first().pets.keypoints[1].points[0] == pytest.approx([0.1, 0.9])


def test_a_copy_made_in_cvat_is_somebody_new(zoo, server):
    before = known(zoo)
    zoo.annotate("r1", backend=BACKEND, label_field="pets")
    [dog, _] = server.skeletons(1, 0)
    server.draw(1, {"shapes": [{**dog, "id": None}]})
    server.complete_jobs(1)
    zoo.load_annotations("r1")
    after = zoo.first().pets.keypoints
    assert [k.id for k in after[:2]] == [identity for identity, *_ in before]
    assert (len(after), after[2].label) == (3, None)


def test_classes_choose_labels_and_their_attributes_stay(zoo, server, caplog):
    before = known(zoo)
    classes = [{"classes": ["dog"], "attributes": True}]
    zoo.annotate("r1", backend=BACKEND, label_field="pets", classes=classes)
    [label] = server.state.labels_of(server.tasks[1])
    assert (label.name, len(server.skeletons(1, 0))) == ("dog", 1)
    server.add_skeleton(1, 0, [(1, 1), (2, 2), (3, 3)])
    server.complete_jobs(1)
    zoo.load_annotations("r1")
    assert [(k.id, k.label) for k in zoo.first().pets.keypoints[:2]] == [k[:2] for k in before]
    assert [k["action"] for k in zoo.first().pets.keypoints[:2]] == ["sit", "run"]
    assert zoo.first().pets.keypoints[2].label == "dog"
    assert "not its class" not in caplog.text
    zoo.annotate("r2", backend=BACKEND, label_field="pets")
    assert "labels keep theirs (cat, dog)" in caplog.text


def test_a_load_that_left_frames_out_deletes_no_task(case, server):
    dataset, view, field = case
    view.annotate("r1", backend=BACKEND, label_field=field, segment_size=1)
    server.complete_jobs(1, [0])
    with pytest.raises(CvatError, match="2 of the 3 frames of run 'r1' are in jobs that are not"):
        load(dataset, view, "r1", cleanup=True)
    assert list(server.tasks) == [1]
    server.complete_jobs(1)
    load(dataset, view, "r1", cleanup=True)
    assert server.tasks == {}


def test_work_that_is_given_up_can_be_deleted_after_a_load(zoo, server):
    results = zoo.annotate("r1", backend=BACKEND, label_field="pets")
    zoo.load_annotations("r1")
    results.cleanup(unfinished=True)
    assert server.tasks == {}


def test_a_load_tells_what_it_has_left_out(case, server, caplog):
    dataset, view, field = case
    view.annotate("r1", backend=BACKEND, label_field=field, segment_size=1)
    server.complete_jobs(1, [0])
    load(dataset, view, "r1")
    assert "2 of 3 frames of run 'r1' are not loaded" in caplog.text
    server.tasks.clear()
    load(dataset, view, "r1")
    assert "tasks/1 is not in CVAT any more: 3 frames" in caplog.text


def test_a_job_that_is_reopened_takes_nothing_from_another_field(case, server):
    dataset, view, field = case
    other = field.replace("dogs", "checked")
    view.annotate("r1", backend=BACKEND, label_field=field, segment_size=1)
    server.complete_jobs(1)
    load(dataset, view, "r1", dest_field=other)
    server.reopen_jobs(1, [0])
    server.remove_skeleton(1, 1)
    load(dataset, view, "r1", dest_field=other)
    assert [len(frame or []) for frame in dogs(dataset, "checked")] == [2, 1, 2, 0]
    server.complete_jobs(1)
    server.remove_skeleton(1, 0)
    dataset.reload()
    load(dataset, view, "r1", dest_field=other)
    assert [len(frame or []) for frame in dogs(dataset, "checked")] == [1, 1, 2, 0]


def test_all_slices_of_a_group_keep_their_labels(dataset_name, server, tmp_path):
    dataset = fo.Dataset(dataset_name)
    dataset.default_skeleton = SKELETON
    dataset.add_group_field("group", default="left")
    group = fo.Group()
    for side in ("left", "right"):
        labels = fo.Keypoints(keypoints=[keypoint("dog", 0.1, action=side)])
        path = picture(tmp_path, side)
        dataset.add_sample(fo.Sample(filepath=path, group=group.element(side), pets=labels))
    slices = dataset.select_group_slices(["left", "right"])
    before = [[(k.id, k.label, k["action"]) for k in s.pets.keypoints] for s in slices]
    slices.annotate("r1", backend=BACKEND, label_field="pets")
    server.complete_jobs(1)
    dataset.load_annotations("r1")
    slices.reload()
    after = [[(k.id, k.label, k["action"]) for k in s.pets.keypoints] for s in slices]
    assert after == before


def test_a_negative_index_is_none(zoo, server):
    zoo.set_values("pets.keypoints.index", [[-1, -1]])
    zoo.annotate("r1", backend=BACKEND, label_field="pets")
    server.complete_jobs(1)
    zoo.load_annotations("r1")
    assert len(zoo.first().pets.keypoints) == 2


@pytest.mark.parametrize(
    ("visible", "read"),
    [(1, [1, 1, 1]), ([True, False, True], [2, 1, 2]), ([None, 1, 2], [2, 1, 2])],
)
def test_visible_is_read_as_it_is_meant(zoo, server, visible, read):
    set_visible(zoo, visible)
    zoo.annotate("r1", backend=BACKEND, label_field="pets")
    server.complete_jobs(1)
    zoo.load_annotations("r1")
    assert zoo.first().pets.keypoints[0]["visible"] == read


def test_settings_that_are_misspelt_or_of_another_backend_are_refused(zoo, server):
    with pytest.raises(DatasetError, match="does not know project_name, segment_sise; it takes"):
        zoo.annotate("r1", backend=BACKEND, label_field="pets", project_name="x", segment_sise=3)
    set_visible(zoo, ["seen"] * 3)
    with pytest.raises(DatasetError, match="set 0 \\(absent\\), 1"):
        zoo.annotate("r1", backend=BACKEND, label_field="pets")
    set_visible(zoo, [2, 2])
    with pytest.raises(DatasetError, match="one label has 2 visible where 3 are expected"):
        zoo.annotate("r1", backend=BACKEND, label_field="pets")
    assert zoo.list_annotation_runs() == []
    assert server.tasks == {}


def test_visible_stays_where_points_may_not_be_moved(zoo, server):
    zoo.annotate("r1", backend=BACKEND, label_field="pets", allow_spatial_edits=False)
    server.move_point(1, 0, "nose", (3.0, 4.0), visibility=1)
    server.complete_jobs(1)
    zoo.load_annotations("r1")
    first = zoo.first().pets.keypoints[0]
    assert (first.points[0], first.has_field("visible") and first["visible"]) in (
        ([0.1, 0.2], False),
        ([0.1, 0.2], None),
    )


@pytest.fixture
def no_variables(monkeypatch):
    for name in ("FIFTYONE_ANNOTATION_BACKENDS", "FIFTYONE_CVAT-SKELETON_CONFIG_CLS"):
        monkeypatch.setenv(name, "")  # monkeypatch forgets only what it has set
        monkeypatch.delenv(name)


@pytest.fixture
def users_own(tmp_path, no_variables, monkeypatch):
    """A configuration file with a backend of the user's own."""
    config = tmp_path / "annotation.json"
    config.write_text(json.dumps({"backends": {"mine": {"config_cls": "a.B", "url": "u"}}}))
    monkeypatch.setenv("FIFTYONE_ANNOTATION_CONFIG_PATH", str(config))


@pytest.mark.parametrize("first", ["ours", "fiftyone"])
def test_the_backend_is_known_whichever_is_imported_first(first, users_own, monkeypatch):
    if first == "ours":
        monkeypatch.delitem(sys.modules, "fiftyone")
        announce_backend()
        backends = foc.load_annotation_config().backends
    else:
        monkeypatch.setattr(fo, "annotation_config", foc.load_annotation_config())
        announce_backend()
        backends = fo.annotation_config.backends
    assert sorted(backends) == ["cvat", "cvat-skeleton", "labelbox", "labelstudio", "mine"]
    assert backends["mine"] == {"config_cls": "a.B", "url": "u"}
    announced = backends["cvat-skeleton"]["config_cls"]
    assert announced == f"{CvatSkeletonBackendConfig.__module__}.CvatSkeletonBackendConfig"


def test_a_backend_of_the_same_name_that_the_user_made_stays(no_variables, monkeypatch):
    mine = {"config_cls": "a.B"}
    monkeypatch.setattr(fo.annotation_config, "backends", {"cvat-skeleton": dict(mine)})
    announce_backend()
    assert fo.annotation_config.backends["cvat-skeleton"] == mine
    monkeypatch.setenv("FIFTYONE_CVAT-SKELETON_CONFIG_CLS", "a.B")
    monkeypatch.delitem(sys.modules, "fiftyone")
    announce_backend()
    assert os.environ["FIFTYONE_CVAT-SKELETON_CONFIG_CLS"] == "a.B"
