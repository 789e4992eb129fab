"""No face and no upper body reaches a server or a file unless somebody says so."""

import hashlib
import json
import os
import stat
import zipfile
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

from cvat_bridge.errors import ServerError
from fiftyone_legpose.cvat.outgoing import Outgoing
from fiftyone_legpose.cvat.results import load_results
from fiftyone_legpose.cvat.stills import Stills
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.dataset.fields import MASK, VIDEO
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.privacy.audit import audit_file
from fiftyone_legpose.privacy.faces import find_faces
from fiftyone_legpose.privacy.stills import Policy, PrivacyError
from fiftyone_legpose.review.push import push
from tests.cvat_server import CvatServer, Fault
from tests.fiftyone_legpose.privacy.planting import plant_face
from tests.fiftyone_legpose.privacy.test_gate import upright

SIZE = (320, 240)


@pytest.fixture
def server(cvat_server: CvatServer, monkeypatch: pytest.MonkeyPatch) -> CvatServer:
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    return cvat_server


@pytest.fixture
def dataset(dataset_name, tmp_path) -> fo.Dataset:
    """Four pictures of a grey room: legs, a face with legs, a face alone, an upper body."""
    rng = np.random.default_rng(0)
    room = cv2.GaussianBlur(rng.integers(90, 160, (*SIZE[::-1], 3), dtype=np.uint8), (0, 0), 5)
    with_face, _ = plant_face(room, 40, rng)
    dataset = fo.Dataset(dataset_name)
    keypoint_labels.declare(dataset, fields.PREDICTIONS)
    for name, picture, hip_y in (
        ("legs", room, 10),
        ("both", with_face, 10),
        ("face", with_face, None),
        ("body", room, 110),
    ):
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), picture)
        people = [] if hip_y is None else [upright(hip_y)]
        dataset.add_sample(
            fo.Sample(
                filepath=str(path),
                metadata=fo.ImageMetadata(width=SIZE[0], height=SIZE[1]),
                **{fields.PREDICTIONS: keypoint_labels.to_keypoints(people, SIZE)},
            )
        )
    return dataset


def only(dataset: fo.Dataset, *names: str) -> fo.DatasetView:
    return dataset.select([s.id for s in dataset if Path(s.filepath).stem in names])


def arrived(server: CvatServer) -> list[np.ndarray]:
    [task] = server.tasks.values()
    return [cv2.imdecode(np.frombuffer(f.data, np.uint8), cv2.IMREAD_COLOR) for f in task.frames]


def log() -> list[dict]:
    return [json.loads(line) for line in audit_file().read_text().splitlines()]


def test_by_default_nothing_is_sent_where_a_still_shows_a_face_or_an_upper_body(dataset, server):
    with pytest.raises(PrivacyError, match="3 of 4 stills") as refusal:
        push(dataset.view(), "round1")
    told = str(refusal.value)
    assert "both.png (face)" in told and "body.png (upper body)" in told and "blacken" in told
    assert "legs.png" not in told
    assert not server.tasks
    assert dataset.list_annotation_runs() == []
    thumbnail = cv2.imdecode(
        np.frombuffer(refusal.value.refused[0].thumbnail, np.uint8), cv2.IMREAD_COLOR
    )
    assert thumbnail.shape[0] == 160


def test_no_file_is_written_where_a_still_is_refused(dataset, tmp_path):
    with pytest.raises(PrivacyError):
        push(dataset.view(), "round1", backup=tmp_path / "round1.zip")
    assert not (tmp_path / "round1.zip").exists()
    assert dataset.list_annotation_runs() == []


def test_legs_alone_leave_to_the_last_bit(dataset, server):
    push(only(dataset, "legs"), "round1")
    [task] = server.tasks.values()
    expected = cv2.imencode(
        ".jpg", cv2.imread(dataset.first().filepath), [cv2.IMWRITE_JPEG_QUALITY, 95]
    )[1]
    assert task.frames[0].data == expected.tobytes()


def test_blackened_stills_show_neither_face_nor_upper_body(dataset, server, tmp_path):
    originals = [sample.filepath for sample in dataset]
    before = [cv2.imread(path) for path in originals]
    push(dataset.view(), "round1", privacy="blacken")
    legs, both, face, body = arrived(server)
    assert len(find_faces(both)) == len(find_faces(face)) == 0
    assert body[: 110 - 30 - 4].max() < 12 and body[110:].mean() > 50
    assert legs.min() > 40  # nothing hidden
    assert all((cv2.imread(path) == was).all() for path, was in zip(originals, before, strict=True))
    assert load_results(dataset, "round1").config.privacy == "blacken"


def test_off_has_to_be_said_and_is_recorded(dataset, server):
    push(only(dataset, "face"), "round1", privacy="off")
    assert len(find_faces(arrived(server)[0])) == 1
    assert load_results(dataset, "round1").config.privacy == "off"
    assert log()[-1]["mode"] == "off"
    with pytest.raises(DatasetError, match="refuse, blacken, off"):
        push(dataset.view(), "round2", privacy="maybe")


def test_what_is_masked_or_cropped_is_black_in_any_mode(dataset, server, tmp_path):
    first = only(dataset, "face").first()
    first[VIDEO] = "walk"
    first[MASK] = fo.Detections(
        detections=[fo.Detection(label="sign", bounding_box=[0.5, 0.5, 0.25, 0.25])]
    )
    first.save()
    second = only(dataset, "legs").first()
    second[VIDEO] = "walk"
    second.save()
    push(only(dataset, "face", "legs", "both"), "round1", privacy="off", crop_below=0.25)
    legs, both, face = arrived(server)
    for masked in (legs, face):
        assert masked[124:176, 164:236].max() < 12
    assert both[124:176, 164:236].min() > 20
    for picture in (legs, both, face):
        assert picture[:56].max() < 12 and picture[64:120, :150].mean() > 50
    assert (log()[-1]["crop_below"], log()[-1]["masks"]) == (0.25, 2)


def test_a_face_behind_a_mask_is_no_reason_to_refuse(dataset, server):
    sample = only(dataset, "face").first()
    sample[MASK] = fo.Detections(detections=[fo.Detection(bounding_box=[0, 0, 1, 1])])
    sample.save()
    push(only(dataset, "face"), "round1")
    assert arrived(server)[0].max() < 12


def test_the_log_and_the_run_tell_what_left(dataset, server, tmp_path):
    push(dataset.view(), "round1", privacy="blacken")
    [task] = server.tasks.values()
    [entry] = load_results(dataset, "round1").run.hand_overs
    assert entry == log()[-1]
    assert (entry["to"], entry["run"], entry["frames"]) == (server.url, "round1", 4)
    assert (entry["mode"], entry["blackened"]) == ("blacken", 3)
    assert entry["when"].endswith("+00:00")
    for frame in task.frames:
        assert entry["sha256"][frame.name[:-4]] == hashlib.sha256(frame.data).hexdigest()
    assert stat.S_IMODE(audit_file().stat().st_mode) == 0o600

    push(only(dataset, "legs"), "round2", backup=tmp_path / "round2.zip", again=True)
    assert log()[-1]["to"] == str(tmp_path / "round2.zip")
    with zipfile.ZipFile(tmp_path / "round2.zip") as archive:
        [still] = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    assert list(log()[-1]["sha256"].values()) == [hashlib.sha256(still).hexdigest()]


def test_a_push_that_breaks_off_has_logged_what_left_and_goes_on(dataset, server):
    view = only(dataset, "legs", "body")
    server.arm({})
    push(view, "round0", privacy="blacken", frames_per_task=1)
    posts = [i for i, request in enumerate(server.log) if request == ("POST", "/api/tasks")]
    server.reset()
    server.arm({posts[1]: Fault(500)})
    lines = len(log())
    with pytest.raises(ServerError):
        push(view, "round1", privacy="blacken", frames_per_task=1, again=True)
    server.arm({})
    assert [entry["frames"] for entry in log()[lines:]] == [1]
    push(view, "round1", again=True)  # goes on in the mode that it began with
    assert [entry["mode"] for entry in log()[lines:]] == ["blacken", "blacken"]
    assert [e["frames"] for e in load_results(dataset, "round1").run.hand_overs] == [1, 1]
    assert len(server.tasks) == 2


def test_the_generic_backend_looks_at_nothing_unless_asked(dataset, server):
    del dataset.skeletons[fields.PREDICTIONS]
    dataset.skeletons = {
        fields.PREDICTIONS: fo.KeypointSkeleton(labels=[f"p{i}" for i in range(10)], edges=[])
    }
    view = only(dataset, "face", "both")
    view.annotate("free", backend="cvat-skeleton", label_field=fields.PREDICTIONS)
    assert len(server.tasks) == 1
    with pytest.raises(PrivacyError):
        view.annotate(
            "looked", backend="cvat-skeleton", label_field=fields.PREDICTIONS, privacy="refuse"
        )
    assert len(server.tasks) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes such files when they are closed")
def test_stills_that_wait_have_no_name_and_are_gone_with_the_process():
    stills = Stills(
        Outgoing([], [], "", [], [], [], [], [], [], []), Policy(), {}, {}, has_hips=True
    )
    assert os.fstat(stills._kept.fileno()).st_nlink == 0
