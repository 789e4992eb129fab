"""push and pull through files, where nobody may log in to CVAT from here."""

import re
import zipfile

import fiftyone as fo
import numpy as np
import pytest

from cvat_bridge.backup_reading import read_backup
from cvat_bridge.errors import FormatError
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.pose import matching
from fiftyone_legpose.review.pull import pull
from fiftyone_legpose.review.push import push
from fiftyone_legpose.review.status import status
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.reviewing import frame_ids, labels, people, snapshot, states

POSITIONS = (0, 1, 2, 4, 5, 6)


@pytest.fixture(params=["videos", "images"])
def dataset(request, dataset_name, short_clip, tmp_path) -> fo.Dataset:
    if request.param == "videos":
        made = reviewing.video_dataset(dataset_name, short_clip)
    else:
        made = reviewing.image_dataset(dataset_name, tmp_path / "pictures", 8)
    select(made, *POSITIONS)
    return made


def select(dataset: fo.Dataset, *positions: int) -> None:
    chosen = [frame_ids(dataset)[i] for i in positions]
    frame_review.mark(dataset, chosen, state=fields.SELECTED)


def test_out_as_a_backup_and_back_as_an_export(dataset, cvat_server, tmp_path):
    predictions = snapshot(dataset, fields.PREDICTIONS)
    backup, export = tmp_path / "out.zip", tmp_path / "back.zip"
    summary = push(dataset, "round1", backup=backup, segment_size=4)
    assert (summary.frames, summary.backup, summary.links) == (6, str(backup), [])
    assert [state for state in states(dataset) if state] == ["out"] * 6
    assert status(dataset)[0].by_state == {"out": 6}

    task = cvat_server.restore_backup(backup.read_bytes())
    names = [frame.name for frame in task.frames]
    assert all(name.startswith("round1_") for name in names)
    assert len(task.jobs) == 2
    knee = people(dataset, fields.PREDICTIONS, 0)[0].points[2]
    cvat_server.move_point(task.id, 0, "left_knee", knee + (3, 4), visibility=2)
    cvat_server.remove_skeleton(task.id, 1, person=1)
    cvat_server.remove_skeleton(task.id, 1, person=0)
    cvat_server.add_skeleton(task.id, 3, reviewing.standing(at=(900, 700)), [0, 1, *[2] * 8])
    export.write_bytes(cvat_server.export(task.id))

    pulled = pull(dataset, export=export)
    assert (pulled.written, pulled.waiting) == (6, 0)
    found = pulled.corrections
    assert (found.changed, found.added, found.deleted) == (1, 1, 2)
    assert found.max_px == pytest.approx(5.0, abs=0.02)
    assert snapshot(dataset, fields.PREDICTIONS) == predictions
    for position in (5, 6):
        shown = reviewing.predicted_as_shown(dataset, position)
        back = people(dataset, fields.GROUND_TRUTH, position)
        assert matching.same_people(shown, back)
        assert [p.track_id for p in back] == [p.track_id for p in shown]
    corrected = people(dataset, fields.GROUND_TRUTH, 0)[0].points[2]
    assert np.allclose(corrected, knee + (3, 4), atol=0.02)
    assert labels(dataset, fields.GROUND_TRUTH)[1].keypoints == []
    assert states(dataset)[1] == "empty"
    drawn = people(dataset, fields.GROUND_TRUTH, 4)[-1]
    assert drawn.visibility.tolist() == [0, 1, *[2] * 8]

    before = snapshot(dataset, fields.GROUND_TRUTH), snapshot(dataset, fields.REVIEW)
    assert pull(dataset, "round1", export=export).written == 0
    assert (snapshot(dataset, fields.GROUND_TRUTH), snapshot(dataset, fields.REVIEW)) == before
    assert status(dataset)[0].done


def test_writing_the_backup_again_gives_the_same_file(dataset, tmp_path):
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    push(dataset, "round1", backup=first)
    push(dataset, "round1", backup=second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert not [name for name in archive.namelist() if "smith" in name or "short" in name]
        assert b"smith" not in archive.read("task.json")


def test_a_backup_from_the_server_comes_back_too(dataset, cvat_server, tmp_path):
    from tests.cvat_server import backups

    out, back = tmp_path / "out.zip", tmp_path / "back.zip"
    push(dataset, "round1", backup=out, as_tracks=True)
    task = cvat_server.restore_backup(out.read_bytes())
    cvat_server.delete_frame(task.id, 2)
    back.write_bytes(backups.save(cvat_server.state, task))
    summary = pull(dataset, export=back)
    assert (summary.written, summary.deleted_frames, summary.waiting) == (5, 1, 0)
    assert states(dataset)[2] == "out"
    for position in (0, 1, 4, 5, 6):
        back_again = people(dataset, fields.GROUND_TRUTH, position)
        assert matching.same_people(reviewing.predicted_as_shown(dataset, position), back_again)


def test_an_export_of_a_pushed_task_is_read_without_the_server(dataset, cvat_server, tmp_path):
    export = tmp_path / "export.zip"
    push(dataset, "round1", url=cvat_server.url, token=cvat_server.token, frames_per_task=4)
    export.write_bytes(cvat_server.export(1))
    summary = pull(dataset, export=export)
    assert (summary.written, summary.waiting) == (4, 2)
    cvat_server.complete_jobs(1)
    cvat_server.complete_jobs(2)
    later = pull(dataset, url=cvat_server.url, token=cvat_server.token)
    assert (later.written, later.unchanged, later.waiting) == (2, 4, 0)


def test_the_wrong_file_is_refused_and_nothing_written(dataset, cvat_server, tmp_path, short_clip):
    other = reviewing.video_dataset(dataset.name + "-other", short_clip)
    select(other, 0)
    push(other, "round1", backup=tmp_path / "other.zip")
    push(dataset, "round1", backup=tmp_path / "out.zip")
    with pytest.raises(FormatError, match="holds no frame of run 'round1'"):
        pull(dataset, export=tmp_path / "other.zip")
    (tmp_path / "no.zip").write_bytes(b"not a zip")
    with pytest.raises(FormatError, match="neither a folder nor a zip"):
        pull(dataset, export=tmp_path / "no.zip")
    with pytest.raises(DatasetError, match="went out as a file"):
        pull(dataset)
    assert labels(dataset, fields.GROUND_TRUTH) == [None] * len(frame_ids(dataset))


def test_a_file_of_an_older_push_of_the_same_key_is_refused(dataset, cvat_server, tmp_path):
    old, export = tmp_path / "old.zip", tmp_path / "export.zip"
    push(dataset, "round1", backup=old)
    task = cvat_server.restore_backup(old.read_bytes())
    export.write_bytes(cvat_server.export(task.id, save_images=True))
    dataset.delete_annotation_run("round1")
    frame_review.mark(dataset, frame_ids(dataset), state=fields.CORRECTED)
    select(dataset, 0, 2, 4, 5, 6, 7)
    push(dataset, "round1", backup=tmp_path / "new.zip")
    with pytest.raises(FormatError, match="holds no frame of run 'round1'"):
        pull(dataset, export=export)
    assert states(dataset).count("out") == 6


@pytest.mark.parametrize("as_tracks", [False, True])
def test_a_file_that_is_written_again_after_a_frame_was_deleted_fits(
    dataset, cvat_server, tmp_path, as_tracks
):
    from tests.cvat_server import backups

    first, second, back = (tmp_path / name for name in ("first.zip", "second.zip", "back.zip"))
    push(dataset, "round1", backup=first, as_tracks=as_tracks)
    names = read_backup(first).frame_names
    gone = frame_ids(dataset)[1]
    if dataset.media_type == "video":
        dataset.delete_frames([gone])
    else:
        dataset.delete_samples([gone])
    summary = push(dataset, "round1", backup=second)
    assert (summary.frames, summary.missing) == (5, 1)
    assert read_backup(second).frame_names == names[:1] + names[2:]
    for path in (first, second):
        with pytest.raises(FormatError, match="nobody has corrected it"):
            pull(dataset, export=path)

    task = cvat_server.restore_backup(second.read_bytes())
    back.write_bytes(backups.save(cvat_server.state, task))
    pulled = pull(dataset, export=back)
    assert (pulled.written, pulled.waiting) == (5, 1)
    for position in (0, 1, 3, 4, 5):
        shown = reviewing.predicted_as_shown(dataset, position)
        returned = people(dataset, fields.GROUND_TRUTH, position)
        assert matching.same_people(shown, returned)
        assert [pose.track_id for pose in returned] == [pose.track_id for pose in shown]


def test_a_file_of_something_else_is_not_replaced(dataset, tmp_path, short_clip):
    other = reviewing.video_dataset(dataset.name + "-other", short_clip)
    select(other, 0)
    (tmp_path / "notes.zip").write_bytes(b"not a zip")
    push(other, "round1", backup=tmp_path / "out.zip")
    for name in ("notes.zip", "out.zip"):
        before = (tmp_path / name).read_bytes()
        whose = re.escape(f"of push 'round1' of dataset '{dataset.name}'")
        with pytest.raises(DatasetError, match=f"{name} is there .* not {whose}"):
            push(dataset, "round1", backup=tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    assert dataset.list_annotation_runs() == []
    assert states(dataset).count("selected") == 6
    for _ in range(2):  # its own is written again
        assert push(dataset, "round1", backup=tmp_path / "mine.zip").frames == 6


def test_a_folder_is_no_file_for_a_backup_and_leaves_nothing_behind(dataset, tmp_path):
    with pytest.raises(DatasetError, match=r"is a folder\. Give the name of a zip"):
        push(dataset, "round1", backup=tmp_path)
    assert states(dataset).count("selected") == 6
    assert dataset.list_annotation_runs() == []


def test_a_backup_that_cannot_be_written_leaves_nothing_behind(dataset, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"out\.zip cannot be written"):
        push(dataset, "round1", backup=tmp_path / "file" / "out.zip")
    assert states(dataset).count("selected") == 6
    assert dataset.list_annotation_runs() == []
    good = tmp_path / "out.zip"
    push(dataset, "round1", backup=good)
    assert len(read_backup(good).frame_names) == 6
    assert states(dataset).count("out") == 6
