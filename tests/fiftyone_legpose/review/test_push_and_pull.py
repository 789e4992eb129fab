"""push, status and pull against a CVAT over HTTP: right frames, nothing lost, nothing doubled."""

from datetime import UTC, datetime

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

from cvat_bridge import Skeleton, connect
from cvat_bridge.errors import (
    AddressError,
    ConflictError,
    LoginError,
    NotFoundError,
    ServerError,
)
from cvat_bridge.poses import Pose
from cvat_bridge.shapes import to_track
from cvat_bridge.skeleton import SkeletonLabel
from fiftyone_legpose import legs
from fiftyone_legpose.cvat import results as results_module
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.pose import matching
from fiftyone_legpose.review import pull as pull_module
from fiftyone_legpose.review.pull import pull
from fiftyone_legpose.review.push import push
from fiftyone_legpose.review.status import count_selected, status
from tests.cvat_server import CvatServer, Fault
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.reviewing import frame_ids, labels, people, snapshot, states

SHOWN = "legpose_out_round1"


@pytest.fixture
def server(cvat_server: CvatServer, monkeypatch: pytest.MonkeyPatch) -> CvatServer:
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    return cvat_server


@pytest.fixture
def video(dataset_name, short_clip) -> fo.Dataset:
    return reviewing.video_dataset(dataset_name, short_clip)


@pytest.fixture(params=["videos", "images"])
def dataset(request, dataset_name, short_clip, tmp_path) -> fo.Dataset:
    if request.param == "videos":
        return reviewing.video_dataset(dataset_name, short_clip)
    return reviewing.image_dataset(dataset_name, tmp_path / "pictures", 12)


def select(dataset: fo.Dataset, *positions: int) -> list[str]:
    chosen = [frame_ids(dataset)[i] for i in positions]
    frame_review.mark(dataset, chosen, state=fields.SELECTED)
    return chosen


def undo_pull(video: fo.Dataset) -> None:
    ids = frame_review.read(video).ids(fields.CORRECTED, fields.EMPTY)
    nothing = dict.fromkeys(ids)
    video.set_values(f"frames.{fields.GROUND_TRUTH}", nothing, key_field="frames.id")
    frame_review.mark(video, ids, state=fields.OUT, key="round1")
    assert set(states(video)) == {None, "out"}


def test_push_sends_the_selected_frames_alone_with_everything_the_model_placed(dataset, server):
    before = snapshot(dataset, fields.PREDICTIONS)
    select(dataset, 1, 4, 5)
    summary = push(dataset, "round1")
    [task] = server.tasks.values()
    assert [frame.name[-11:] for frame in task.frames] == [f"_{i:06d}.jpg" for i in (1, 2, 3)]
    assert all(frame.name.startswith("round1_") for frame in task.frames)
    assert str(dataset._doc.id) in task.name
    for frame, position in enumerate((1, 4, 5)):
        sent = server.skeletons(task.id, frame)
        shown = reviewing.predicted_as_shown(dataset, position)
        assert len(sent) == len(shown) == 2
        for shape, pose in zip(sent, shown, strict=True):
            points = [element["points"] for element in shape["elements"]]
            assert np.allclose(points, pose.points, atol=1e-9)
            flags = ("occluded", "outside")
            assert not any(element[flag] for element in shape["elements"] for flag in flags)
    assert (summary.frames, summary.persons, summary.points) == (3, 6, 60)
    assert 0 < summary.unsure < 60
    assert summary.links == [f"{server.url}/tasks/{task.id}"]
    assert snapshot(dataset, fields.PREDICTIONS) == before
    assert states(dataset) == [
        "out" if i in (1, 4, 5) else None for i in range(len(frame_ids(dataset)))
    ]
    assert people(dataset, SHOWN, 4) == reviewing.predicted_as_shown(dataset, 4)
    assert labels(dataset, SHOWN)[0] is None
    assert dataset.list_annotation_runs() == ["round1"]


def test_the_right_stills_leave(video, server, short_clip):
    import cv2

    select(video, 10, 2)
    push(video, "round1")
    [task] = server.tasks.values()
    capture = cv2.VideoCapture(str(short_clip))
    frames = [capture.read()[1] for _ in range(reviewing.CLIP_FRAMES)]
    for sent, number in zip(task.frames, (2, 10), strict=True):
        still = cv2.imdecode(np.frombuffer(sent.data, np.uint8), cv2.IMREAD_COLOR)
        errors = [np.abs(still.astype(int) - frame).mean() for frame in frames]
        assert int(np.argmin(errors)) == number


def test_no_secret_and_no_file_name_reaches_the_server_or_the_dataset(dataset, server):
    select(dataset, 0)
    push(dataset, "round1", token=None, user=server.user, password=server.password)
    push(
        dataset.select_frames(frame_ids(dataset)[1])
        if dataset.media_type == "video"
        else dataset.select(frame_ids(dataset)[1]),
        "round2",
        url=server.url,
        token=server.token,
    )
    stored = ""
    for key in dataset.list_annotation_runs():
        results = dataset.load_annotation_results(key, cache=False)
        stored += str(dataset.get_annotation_info(key).serialize()) + str(results.serialize())
    assert server.token not in stored
    assert server.password not in stored
    assert not [name for name in server.uploaded_names if "smith" in name or "short" in name]


def test_views_of_frames_and_clips_send_their_own_frames(video, server):
    early = video.match_frames(F("frame_number") <= 2)
    assert push(early, "one").frames == 2
    clips = video.to_clips([[[5, 6]]])
    assert push(clips, "two").frames == 2
    assert [i + 1 for i, state in enumerate(states(video)) if state == "out"] == [1, 2, 5, 6]


def test_frames_that_are_out_or_reviewed_are_refused_unless_told_otherwise(video, server):
    chosen = select(video, 0, 1, 4)
    push(video, "round1")
    server.complete_jobs(1)
    pull(video)
    select(video, 5)
    push(video, "round2")
    with pytest.raises(DatasetError, match=r"3 are reviewed in run 'round1'; 1 are out in run 'ro"):
        push(video.match_frames(F("frame_number") <= 6), "round3")
    assert len(server.tasks) == 2
    again = push(video.select_frames(chosen[:1]), "round3", again=True)
    assert again.frames == 1
    assert states(video)[0] == "out"


def test_pushing_the_same_again_sends_nothing_and_a_taken_key_is_refused(video, server):
    select(video, 0, 1)
    first = push(video, "round1")
    server.arm({})
    second = push(video, "round1")
    assert (second.sent, second.frames, second.links) == (False, 2, first.links)
    assert {method for method, _ in server.log} <= {"GET"}
    select(video, 5)
    with pytest.raises(DatasetError, match="1 of these frames are not in it"):
        push(video, "round1")
    assert len(server.tasks) == 1


@pytest.mark.parametrize("key", ["Mrs Smith", "1st", "", "_x", "x" * 49, "größe"])
def test_a_key_that_cannot_name_stills_is_refused(video, server, key):
    select(video, 0)
    with pytest.raises(DatasetError, match="use up to 48 letters"):
        push(video, key)
    assert video.list_annotation_runs() == []


def test_nothing_to_send_is_said(video, server):
    with pytest.raises(DatasetError, match="run select first"):
        push(video, "round1")
    select(video, 0)
    with pytest.raises(DatasetError, match="no field 'other'"):
        push(video, "round1", label_field="other")
    assert video.list_annotation_runs() == []


def test_a_dataset_may_be_named_and_one_that_is_not_there_is_told(video):
    assert status(video.name) == status(video) == []
    for verb, *key in [(push, "round1"), (pull, "round1"), (status,)]:
        with pytest.raises(DatasetError, match=f"no dataset '{video.name}-gone'"):
            verb(f"{video.name}-gone", *key)
        with pytest.raises(DatasetError, match="a FiftyOne dataset, its name or a view is needed"):
            verb(7, *key)


def test_a_frame_that_cannot_be_decoded_is_named_and_nothing_stays_behind(video, server):
    sample = video.first()
    sample.frames[20] = fo.Frame()
    sample.save()
    select(video, 0, 12)
    with pytest.raises(DatasetError, match=r"short.mp4, frame 20 cannot be sent"):
        push(video, "round1")
    assert server.tasks == {}
    assert video.list_annotation_runs() == []
    assert push(video.match_frames(F("frame_number") == 1), "round1").frames == 1


def test_a_wrong_login_leaves_nothing_behind(video, server, monkeypatch):
    select(video, 0)
    schema = set(video.get_frame_field_schema())
    with pytest.raises(LoginError):
        push(video, "round1", token="wrong")
    monkeypatch.delenv("FIFTYONE_CVAT_TOKEN")
    with pytest.raises(LoginError, match="FIFTYONE_CVAT_TOKEN"):
        push(video, "round1")
    monkeypatch.delenv("FIFTYONE_CVAT_URL")
    with pytest.raises(AddressError, match="push to a backup"):
        push(video, "round1")
    assert video.list_annotation_runs() == []
    assert states(video)[0] == "selected"
    assert set(video.get_frame_field_schema()) == schema


def test_a_push_that_is_refused_can_be_tried_with_other_settings(video, server):
    select(video, 0, 1)
    with pytest.raises(NotFoundError, match="no user 'anna'"):
        push(video, "round1", assignee="anna")
    with connect(server.url, token=server.token) as cvat:
        cvat.project("theirs", Skeleton("legs", ("hip", "knee")))
    with pytest.raises(ConflictError, match="another label"):
        push(video, "round1", project="theirs")
    assert video.list_annotation_runs() == []
    assert server.tasks == {}
    server.add_user("ana")
    assert push(video, "round1", assignee="ana").frames == 2
    assert len(server.tasks) == 1


def test_status_tells_where_each_frame_is(video, server):
    assert status(video) == []
    assert count_selected(video) == 0
    select(video, *range(6))
    assert count_selected(video) == 6
    push(video, "round1", segment_size=2)
    server.reopen_jobs(1, [1])
    server.complete_jobs(1, [2])
    assert count_selected(video) == 0
    [told] = status(video)
    assert told.by_state == {"new": 2, "in progress": 2, "completed": 2}
    assert [job.state for job in told.jobs] == ["new", "in progress", "completed"]
    assert (told.to_pull, told.done) == (2, False)
    pull(video)
    assert status(video, "round1")[0].by_state == {
        "new": 2,
        "in progress": 2,
        "corrected": 2,
    }
    server.complete_jobs(1)
    pull(video)
    server.arm({})
    assert status(video)[0].done
    assert server.log == []  # what is done needs no server
    with pytest.raises(DatasetError, match="no push 'other'; it has: round1"):
        status(video, "other")


def test_pull_writes_completed_frames_alone_and_says_what_changed(dataset, server):
    positions = (0, 1, 4, 5, 6, 7)
    select(dataset, *positions)
    push(dataset, "round1", segment_size=3)
    predictions = snapshot(dataset, fields.PREDICTIONS)
    before = people(dataset, fields.PREDICTIONS, 0)[0].points[2]
    server.move_point(1, 0, "left_knee", before + (3.0, 4.0), visibility=2)
    server.set_visibility(1, 0, "left_foot", 0)
    server.remove_skeleton(1, 1, person=0)
    server.remove_skeleton(1, 1, person=0)
    server.add_skeleton(1, 2, reviewing.standing(at=(900, 700)), [2, 1, 0, *[2] * 7])
    server.move_point(1, 4, "right_hip", (1.0, 2.0))  # not completed: must not come back
    server.assign_jobs(1, "ana")
    server.complete_jobs(1, [0])
    started = datetime.now(UTC)
    summary = pull(dataset)
    assert (summary.written, summary.waiting, summary.empty) == (3, 3, 1)
    found = summary.corrections
    assert (found.changed, found.added, found.deleted, found.untouched) == (1, 1, 2, 3)
    assert found.mean_px == pytest.approx(5.0, abs=1e-6)
    assert snapshot(dataset, fields.PREDICTIONS) == predictions
    truth = labels(dataset, fields.GROUND_TRUTH)
    assert [i for i, label in enumerate(truth) if label is not None] == [0, 1, 4]
    corrected = people(dataset, fields.GROUND_TRUTH, 0)[0]
    assert np.allclose(corrected.points[2], before + (3.0, 4.0))
    assert (corrected.visibility[2], corrected.visibility[8]) == (2, 0)
    assert corrected.track_id == (0 if dataset.media_type == "video" else None)
    assert truth[1].keypoints == []
    drawn = people(dataset, fields.GROUND_TRUTH, 4)[2]
    assert drawn.visibility.tolist() == [2, 1, 0, *[2] * 7]
    assert drawn.points[0, 0] > 900
    assert states(dataset)[:8] == [
        *("corrected", "empty", None, None, "corrected"),
        *("out", "out", "out"),
    ]
    review_field = labels(dataset, fields.REVIEW)[0]
    assert (review_field.key, review_field.by) == ("round1", "ana")
    assert abs((review_field.at.replace(tzinfo=UTC) - started).total_seconds()) < 60


def test_pulling_twice_changes_nothing_and_later_completes(dataset, server):
    select(dataset, 0, 1, 4, 5)
    push(dataset, "round1", segment_size=2)
    server.move_point(1, 0, "left_knee", (50.0, 60.0))
    server.complete_jobs(1, [0])
    pull(dataset)
    truth, reviews = snapshot(dataset, fields.GROUND_TRUTH), snapshot(dataset, fields.REVIEW)
    second = pull(dataset)
    assert (second.written, second.unchanged) == (0, 2)
    assert snapshot(dataset, fields.GROUND_TRUTH) == truth
    assert snapshot(dataset, fields.REVIEW) == reviews
    server.complete_jobs(1, [1])
    third = pull(dataset)
    assert (third.written, third.unchanged, third.waiting) == (2, 2, 0)
    assert snapshot(dataset, fields.GROUND_TRUTH)[:2] == truth[:2]
    with pytest.raises(DatasetError, match="no push is out"):
        pull(dataset)
    # A reviewer who opens a finished job again is heard again.
    server.move_point(1, 0, "left_knee", (51.0, 60.0))
    server.complete_jobs(1)
    assert pull(dataset, "round1").written == 1
    assert people(dataset, fields.GROUND_TRUTH, 0)[0].points[2, 0] == pytest.approx(51.0)


def test_deleted_frames_and_tasks_are_told_and_stay_out(video, server):
    select(video, *range(4))
    push(video, "round1", frames_per_task=2)
    server.delete_frame(1, 1)
    server.complete_jobs(1)
    del server.tasks[2]
    summary = pull(video)
    assert (summary.written, summary.deleted_frames, summary.waiting) == (1, 1, 2)
    assert summary.gone == [f"{server.url}/tasks/2"]
    [told] = status(video)
    assert told.gone == summary.gone
    assert told.by_state == {"corrected": 1, "deleted": 1, "out": 2}
    assert (told.to_pull, told.done) == (0, False)
    assert states(video)[:4] == ["corrected", "out", "out", "out"]
    server.restore_frame(1, 1)
    assert status(video)[0].to_pull == 1
    assert pull(video).written == 1


def test_a_run_whose_last_frames_were_deleted_in_cvat_is_done(video, server):
    select(video, 0, 1)
    push(video, "round1")
    server.delete_frame(1, 0)
    server.complete_jobs(1)
    pull(video)
    assert status(video)[0].done


def test_frames_that_are_deleted_from_the_dataset_meanwhile_are_counted(
    dataset_name, tmp_path, server
):
    images = reviewing.image_dataset(dataset_name, tmp_path, 4)
    chosen = select(images, 0, 1)
    push(images, "round1")
    images.delete_samples(chosen[:1])
    server.complete_jobs(1)
    summary = pull(images)
    assert (summary.written, summary.missing) == (1, 1)
    [told] = status(images)
    assert told.done
    assert told.by_state == {"missing": 1, "corrected": 1}


def test_a_frame_that_went_out_again_is_written_by_the_later_run_alone(video, server):
    chosen = select(video, 0, 1)
    push(video, "round1")
    push(video.select_frames(chosen[:1]), "round2", again=True)
    server.move_point(1, 0, "left_knee", (10.0, 10.0))
    server.move_point(2, 0, "left_knee", (20.0, 20.0))
    server.complete_jobs(1)
    server.complete_jobs(2)
    pull(video, "round2")
    summary = pull(video, "round1")
    assert (summary.written, summary.elsewhere) == (1, 1)
    assert people(video, fields.GROUND_TRUTH, 0)[0].points[2, 0] == pytest.approx(20.0)


def test_of_a_view_of_videos_only_selected_frames_leave_the_house(dataset_name, short_clip, server):
    video = reviewing.video_dataset(dataset_name, short_clip, short_clip)
    chosen = set(select(video, 1, 2, 12 + 3))
    first = video[:1]
    summary = push(first, "round1")
    assert summary.frames == 2
    assert chosen.issuperset(frame_review.read(video).ids(fields.OUT))
    with pytest.raises(DatasetError, match="select first"):
        push(first, "round2")


def test_a_track_that_a_reviewer_draws_is_nobody_who_is_there(dataset_name, short_clip, server):
    video = reviewing.video_dataset(dataset_name, short_clip, short_clip)
    select(video, 0, 1, 12, 13)
    push(video, "round1")
    [task] = server.tasks.values()
    for frame in range(4):
        server.remove_skeleton(task.id, frame)
    [label] = [one for one in server.state.labels_of(task) if one.type == "skeleton"]
    known = SkeletonLabel(label.id, legs.SKELETON, tuple(sub.id for sub in label.sublabels))
    drawn = Pose(np.array(reviewing.standing(at=(900, 700))), np.full(10, 2))
    server.draw(task.id, {"tracks": [to_track({0: drawn, 1: drawn}, known, frame_count=2)]})
    server.complete_jobs(task.id)
    for _ in range(2):
        pull(video, "round1")
        found = [people(video, fields.GROUND_TRUTH, position) for position in (0, 1)]
        assert [[pose.track_id for pose in poses] for poses in found] == [[1, 2], [1, 2]]


def test_tracks_are_stretches_of_one_person_of_one_video(dataset_name, short_clip, server):
    video = reviewing.video_dataset(dataset_name, short_clip, short_clip)
    positions = [0, 1, 5, 6, 7, 12 + 4, 12 + 5]
    select(video, *positions)
    push(video, "round1", as_tracks=True)
    [task] = server.tasks.values()
    starts = sorted(track["frame"] for track in task.tracks)
    assert starts == [0, 0, 2, 2, 5, 5]
    assert task.shapes == []
    server.complete_jobs(task.id)
    summary = pull(video)
    assert summary.corrections.untouched == 2 * len(positions)
    for position in positions:
        pulled = people(video, fields.GROUND_TRUTH, position)
        assert matching.same_people(reviewing.predicted_as_shown(video, position), pulled)
        assert sorted(pose.track_id for pose in pulled) == [0, 1]


def test_a_push_that_goes_on_leaves_alone_what_is_back(video, server, monkeypatch):
    class Killed(BaseException):
        pass

    select(video, 0, 1, 4, 5)
    save = results_module.CvatSkeletonResults.save
    saved = iter(range(9))

    def die_at_the_second(results):
        if next(saved) == 1:
            raise Killed
        save(results)

    with monkeypatch.context() as patch:
        patch.setattr(results_module.CvatSkeletonResults, "save", die_at_the_second)
        with pytest.raises(Killed):
            push(video, "round1", frames_per_task=2)
    server.complete_jobs(1)
    pull(video, "round1")
    assert states(video)[:6] == ["corrected", "corrected", None, None, "selected", "selected"]
    push(video, "round1")
    assert states(video)[:6] == ["corrected", "corrected", None, None, "out", "out"]


def test_a_push_that_breaks_off_again_knows_what_it_had_sent(video, server, monkeypatch):
    class Killed(BaseException):
        pass

    def push_until(save_number: int) -> None:
        save = results_module.CvatSkeletonResults.save
        saved = iter(range(9))

        def dying(results):
            if next(saved) == save_number:
                raise Killed
            save(results)

        with monkeypatch.context() as patch:
            patch.setattr(results_module.CvatSkeletonResults, "save", dying)
            with pytest.raises(Killed):
                push(video, "round1", frames_per_task=2)

    select(video, 0, 1, 4, 5, 6, 7)
    push_until(2)
    server.complete_jobs(2)
    assert pull(video, "round1").written == 2
    push_until(1)
    assert status(video)[0].by_state == {"new": 2, "corrected": 2, "unsent": 2}
    push(video, "round1")
    found = states(video)
    assert [found[i] for i in (0, 1, 4, 5, 6, 7)] == ["out"] * 2 + ["corrected"] * 2 + ["out"] * 2


def test_an_interrupted_push_goes_on_and_no_frame_is_out_without_a_task(video, server, monkeypatch):
    """Stop a push dead before each write to the database in turn."""

    class Killed(BaseException):
        pass

    def check() -> None:
        out = sum(state == "out" for state in states(video))
        sent = sum(len(task.frames) for task in server.tasks.values())
        assert out in (0, sent, sent - 2)
        with pytest.raises(DatasetError, match="round1"):
            push(video.select_frames(chosen[:3]), "other")

    original = {
        "mark": frame_review.mark,
        "save": results_module.CvatSkeletonResults.save,
    }
    stops = 0
    for stop in range(12):
        server.reset()
        for key in video.list_annotation_runs():
            video.delete_annotation_run(key)
        chosen = select(video, 0, 1, 4, 5)
        calls = iter(range(100))

        def dying(name, calls=calls, stop=stop):
            def run(*args, **kwargs):
                if next(calls) == stop:
                    raise Killed
                done = original[name](*args, **kwargs)
                if next(calls) == stop:
                    raise Killed
                return done

            return run

        monkeypatch.setattr(frame_review, "mark", dying("mark"))
        monkeypatch.setattr(results_module.CvatSkeletonResults, "save", dying("save"))
        try:
            push(video, "round1", frames_per_task=2)
            killed = False
        except Killed:
            killed = True
        monkeypatch.undo()
        monkeypatch.setenv("FIFTYONE_CVAT_URL", server.url)
        monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", server.token)
        if not killed:
            break
        stops += 1
        check()
        if stop == 3:  # FiftyOne deletes old results before it writes new ones
            video._doc.annotation_runs["round1"].results.delete()
            assert results_module.load_results(video, "round1") is None
        [told] = status(video)
        assert told.begun or told.frames == 4
        push(video, "round1")
        assert sorted(len(task.frames) for task in server.tasks.values()) == [2, 2]
        assert [states(video)[i] for i in (0, 1, 4, 5)] == ["out"] * 4
        assert not status(video)[0].begun
    assert stops >= 8


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fault_at_any_request_of_a_pull_loses_nothing(video, server, when):
    select(video, 0, 1, 4, 5)
    push(video, "round1", frames_per_task=2)
    server.move_point(1, 0, "left_knee", (50.0, 60.0))
    server.remove_skeleton(2, 1)
    server.complete_jobs(1)
    server.complete_jobs(2)
    server.arm({})
    pull(video)
    requests = len(server.log)
    truth = [people(video, fields.GROUND_TRUTH, i) for i in (0, 1, 4, 5)]
    for number in range(requests):
        undo_pull(video)
        # An answer of 500 is not repeated by itself, so the pull ends there.
        server.arm({number: Fault(500, when)})
        try:
            pull(video, "round1")
        except ServerError:
            server.arm({})
            pull(video, "round1")
        assert [people(video, fields.GROUND_TRUTH, i) for i in (0, 1, 4, 5)] == truth
        assert [states(video)[i] for i in (0, 1, 4, 5)] == ["corrected"] * 4


def test_a_pull_stopped_at_any_write_is_completed_by_the_next(video, server, monkeypatch):
    select(video, 0, 1, 4, 5)
    push(video, "round1", frames_per_task=2)
    server.remove_skeleton(1, 0)
    for task in (1, 2):
        server.complete_jobs(task)
    for module, name in ((pull_module, "write"), (frame_review, "mark")):
        for stop in (1, 2):
            calls, original = [], getattr(module, name)

            def dying(*args, original=original, stop=stop, calls=calls, **options):
                calls.append(1)
                if len(calls) == stop:
                    raise KeyboardInterrupt
                return original(*args, **options)

            with monkeypatch.context() as patch:
                patch.setattr(module, name, dying)
                with pytest.raises(KeyboardInterrupt):
                    pull(video, "round1")
            for i in (0, 1, 4, 5):
                corrected = states(video)[i] == "corrected"
                assert not corrected or labels(video, fields.GROUND_TRUTH)[i] is not None
            pull(video, "round1")
            assert [states(video)[i] for i in (0, 1, 4, 5)] == ["corrected"] * 4
            assert [len(people(video, fields.GROUND_TRUTH, i)) for i in (0, 1, 4, 5)] == [
                1,
                2,
                2,
                2,
            ]
            undo_pull(video)


def test_a_renamed_run_is_pulled_under_its_new_key(video, server):
    select(video, 0, 1)
    push(video, "round1")
    video.rename_annotation_run("round1", "monday")
    server.complete_jobs(1)
    summary = pull(video)
    assert (summary.key, summary.written) == ("monday", 2)
    assert status(video)[0].done


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fault_during_a_push_is_mended_by_the_next(video, server, when):
    chosen = select(video, 0, 1)
    server.arm({})
    push(video, "round0")
    requests = len(server.log)
    for number in range(when == "after", requests, 4):
        server.reset()
        key = f"round{number + 1}"
        server.arm({number: Fault(500, when)})
        try:
            push(video.select_frames(chosen), key, again=True)
        except ServerError:
            server.arm({})
            push(video.select_frames(chosen), key, again=True)
        [task] = server.tasks.values()
        assert len(task.frames) == 2
        assert len(task.shapes) == 4
        assert status(video, key)[0].by_state == {"new": 2}


def test_tasks_that_were_renamed_while_a_push_was_broken_are_found_again(video, server):
    chosen = select(video, 0, 1, 4, 5)
    server.arm({})
    push(video, "round0", frames_per_task=2)
    last = max(i for i, (method, _) in enumerate(server.log) if method == "PUT")
    server.reset()
    server.arm({last: Fault(500, "after")})
    with pytest.raises(ServerError):
        push(video.select_frames(chosen), "round1", again=True, frames_per_task=2)
    assert [len(task.frames) for task in server.tasks.values()] == [2, 2]
    for task in server.tasks.values():
        task.name = f"for Ana, {task.id}"
    summary = push(video, "round1")
    assert summary.links == [f"{server.url}/tasks/{number}" for number in (1, 2)]
    assert [len(task.shapes) for task in server.tasks.values()] == [4, 4]
    assert status(video, "round1")[0].by_state == {"new": 4}


def test_a_run_deleted_or_cleaned_up_lets_its_frames_go(video, server):
    select(video, 0, 1)
    push(video, "round1", segment_size=1)
    server.complete_jobs(1, [0])
    pull(video)
    truth = snapshot(video, fields.GROUND_TRUTH)
    video.load_annotation_results("round1").cleanup()
    assert server.tasks == {}
    assert states(video)[:2] == ["corrected", "selected"]
    video.delete_annotation_run("round1")
    assert video.list_annotation_runs() == []
    assert not video.has_frame_field(SHOWN)
    assert snapshot(video, fields.GROUND_TRUTH) == truth
    assert push(video, "round1").frames == 1


def test_a_key_that_is_free_again_takes_no_task_with_other_frames(dataset, server):
    first, second = frame_ids(dataset)[:2], frame_ids(dataset)[4:6]
    choose = dataset.select_frames if dataset.media_type == "video" else dataset.select
    push(choose(first), "round1")
    dataset.delete_annotation_run("round1")  # its task stays in CVAT
    assert push(choose(second), "round1").links == [f"{server.url}/tasks/2"]
    server.complete_jobs(1)
    assert pull(dataset).written == 0
    server.complete_jobs(2)
    assert pull(dataset).written == 2
    assert states(dataset)[4:6] == ["corrected", "corrected"]
    dataset.delete_annotation_run("round1")
    again = push(choose(first), "round1")
    assert again.links == [f"{server.url}/tasks/1"]
    assert len(server.tasks) == 2


@pytest.mark.parametrize("broken", [True, False])
def test_names_that_a_push_was_stored_with_stay(video, server, broken):
    """Versions before named stills and tasks by dataset and key alone."""
    select(video, 0, 1, 4, 5)
    server.arm({})
    push(video, "round1", frames_per_task=2)
    results = results_module.load_results(video, "round1")
    results.task_name = f"legpose-{video._doc.id}-round1"
    results.run.frames.names = [f"round1_abcdef_{i:06d}" for i in range(1, 5)]
    for number, task in server.tasks.items():
        task.name = f"{results.task_name}-{number}"
        for i, frame in enumerate(task.frames):
            frame.name = f"round1_abcdef_{2 * (number - 1) + i + 1:06d}.jpg"
    if broken:  # before the second task was noted
        results.run.tasks, results.run.complete = results.run.tasks[:1], False
    results.save()
    assert push(video, "round1").sent == broken
    assert len(server.tasks) == 2
    assert status(video)[0].by_state == {"new": 4}
    for number in server.tasks:
        server.complete_jobs(number)
    assert pull(video).written == 4


def test_a_push_goes_on_after_a_video_was_deleted(dataset_name, short_clip, server):
    clips = reviewing.video_dataset(dataset_name, short_clip, short_clip)
    second = reviewing.CLIP_FRAMES
    select(clips, 0, 1, second, second + 1, second + 4, second + 5)
    server.arm({})
    push(clips, "round0", frames_per_task=3)
    posts = [i for i, request in enumerate(server.log) if request == ("POST", "/api/tasks")]
    frame_review.mark(clips, frame_review.read(clips).ids(fields.OUT), state=fields.SELECTED)
    server.reset()
    server.arm({posts[1]: Fault(500)})
    with pytest.raises(ServerError):
        push(clips, "round1", frames_per_task=3)
    server.arm({})
    sent = [frame.name for frame in server.tasks[1].frames]
    assert len(sent) == 3

    clips.delete_samples([clips.first().id])
    summary = push(clips, "round1")
    assert (summary.frames, summary.missing) == (4, 2)
    assert [len(task.frames) for task in server.tasks.values()] == [3, 3]
    assert [frame.name for frame in server.tasks[1].frames] == sent
    for number in server.tasks:
        server.complete_jobs(number)
    pulled = pull(clips, "round1")
    assert (pulled.written, pulled.missing) == (4, 2)
    assert pulled.corrections.changed == 0
    for position in (0, 1, 4, 5):
        shown = reviewing.predicted_as_shown(clips, position)
        back = people(clips, fields.GROUND_TRUTH, position)
        assert matching.same_people(shown, back)
        assert [pose.track_id for pose in back] == [0, 1]


def test_another_server_with_the_same_task_number_is_noticed(video, server):
    select(video, 0)
    push(video, "round1")
    server.reset()
    other = reviewing.video_dataset(video.name + "-other", video.first().filepath)
    select(other, 0)
    push(other, "round1")
    server.complete_jobs(1)
    with pytest.raises(ConflictError, match="Is this the right server"):
        pull(video)
    [told] = status(video)
    assert told.by_state == {"out": 1}
    assert told.gone == [f"{server.url}/tasks/1"]
    with pytest.raises(ConflictError, match="Is this the right server"):
        video.load_annotation_results("round1").cleanup()
    assert list(server.tasks) == [1]  # somebody else's
    assert states(video)[0] == "out"


def test_the_login_does_not_go_where_a_dataset_says(video, server, monkeypatch):
    """A dataset from elsewhere can name any host."""
    select(video, 0)
    push(video, "round1")
    with CvatServer() as theirs:
        results = video.load_annotation_results("round1", cache=False)
        results.run.url = theirs.url
        results.save()
        monkeypatch.delenv("FIFTYONE_CVAT_URL")
        for verb in (
            lambda: pull(video),
            lambda: status(video),
            lambda: video.load_annotation_results("round1", cache=False).cleanup(),
            lambda: video.load_annotations("round1"),
        ):
            with pytest.raises(AddressError, match=f"went to {theirs.url}, .*set FIFTYONE_CVAT_U"):
                verb()
        assert theirs.log == []
    pull(video, url=server.url)
    assert status(video, url=server.url)[0].by_state == {"new": 1}


def test_progress_ends_with_everything_done(video, server):
    told = []
    select(video, 0, 1)
    push(video, "round1", progress=lambda done, total, message: told.append((done, total)))
    assert told[-1] == (2, 2)
    assert told == sorted(told)
    server.complete_jobs(1)
    told.clear()
    pull(video, progress=lambda done, total, message: told.append((done, total)))
    assert told[-1] == (2, 2)
