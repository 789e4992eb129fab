"""import_labels: skeletons made elsewhere land on the frames that they belong to."""

import zipfile
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

import fiftyone_legpose as lp
from cvat_bridge.backup import write_backup
from cvat_bridge.connecting import connect
from cvat_bridge.errors import FormatError, NotFoundError
from cvat_bridge.frames import Frame
from cvat_bridge.pose_sets import Frame as LabelledFrame
from cvat_bridge.pose_sets import PoseSet
from cvat_bridge.poses import Pose
from cvat_bridge.skeleton import Skeleton
from cvat_bridge.yolo_pose import write_yolo_pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.review.labels_import import import_labels
from fiftyone_legpose.review.pull import pull
from fiftyone_legpose.review.push import push
from fiftyone_legpose.review.status import status
from tests.cvat_server import CvatServer
from tests.fiftyone_legpose import reviewing
from tests.fiftyone_legpose.reviewing import SIZE, frame_ids, labels, people, snapshot, states

RIGHT_FIRST = [legs.KEYPOINTS[i] for i in legs.RIGHT_FIRST]


def person(seed: int) -> Pose:
    points = np.array(reviewing.standing(seed))
    return Pose(points, np.random.default_rng(seed).integers(1, 3, 10))


def export(target: Path, frames: dict[str, list[Pose]], image: Path | None = None) -> Path:
    """Write what somebody exported from a CVAT of their own."""
    labelled = {
        name: LabelledFrame(name, poses, size=SIZE, image=str(image) if image else None)
        for name, poses in frames.items()
    }
    labels = PoseSet(("person",), 10, labelled)
    write_yolo_pose(target, labels, include_images=image is not None)
    return target


@pytest.fixture
def video(dataset_name, short_clip) -> fo.Dataset:
    return reviewing.video_dataset(dataset_name, short_clip)


@pytest.fixture
def server(cvat_server: CvatServer, monkeypatch: pytest.MonkeyPatch) -> CvatServer:
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    return cvat_server


def test_stills_of_a_video_find_their_frames(video, tmp_path):
    poses = {i: person(i) for i in (1, 5, 12)}
    source = export(
        tmp_path / "e.zip",
        {f"short_{i:05d}": [pose] for i, pose in poses.items()}
        | {"short_00002": [], "short_00099": [person(0)], "elsewhere_00001": [person(0)]},
    )
    summary = import_labels(video, source, keypoint_order="left_first")
    assert (summary.written, summary.persons, summary.not_looked_at) == (3, 3, 1)
    assert summary.unmatched == ["short_00099", "elsewhere_00001"]
    for number, pose in poses.items():
        [found] = people(video, fields.GROUND_TRUTH, number - 1)
        assert found.matches(pose, within_px=0.01)
    assert [i for i, label in enumerate(labels(video, fields.GROUND_TRUTH)) if label] == [0, 4, 11]
    assert [i for i, state in enumerate(states(video)) if state == "corrected"] == [0, 4, 11]
    before = snapshot(video, fields.GROUND_TRUTH)
    again = import_labels(video, source, keypoint_order="left_first")
    assert (again.written, again.unchanged) == (0, 3)
    assert snapshot(video, fields.GROUND_TRUTH) == before


def test_stills_at_a_lower_rate_find_their_frames(video, tmp_path, short_clip):
    from fiftyone_legpose.videos.decoding import read_frames, read_picture

    stills = lp.extract_frames(short_clip, tmp_path / "stills", fps=7, progress=False)
    source = export(tmp_path / "e.zip", {still.stem: [person(i)] for i, still in enumerate(stills)})
    import_labels(video, source, keypoint_order="left_first", fps=7)
    labelled = [i + 1 for i, label in enumerate(labels(video, fields.GROUND_TRUTH)) if label]
    assert len(labelled) == len(stills) == 4
    for still, (_, frame) in zip(stills, read_frames(short_clip, labelled), strict=True):
        assert np.abs(read_picture(still).astype(int) - frame).mean() < 4


def test_stills_of_a_fast_video_need_their_rate(video, tmp_path):
    sample = video.first()
    sample.metadata.frame_rate = 60
    sample.save()
    source = export(tmp_path / "e.zip", {f"short_{i:05d}": [person(i)] for i in range(1, 7)})
    told = r"short_00002 is frame 3 of .* 60 .* frame 2 .*fps=30.*fps=60"
    with pytest.raises(DatasetError, match=told):
        import_labels(video, source, keypoint_order="left_first")
    assert not any(labels(video, fields.GROUND_TRUTH))

    def labelled(fps: float) -> list[int]:
        import_labels(video, source, keypoint_order="left_first", fps=fps, overwrite=True)
        return [i + 1 for i, label in enumerate(labels(video, fields.GROUND_TRUTH)) if label]

    assert labelled(30) == [1, 3, 5, 7, 9, 11]
    assert labelled(60) == [1, 2, 3, 4, 5, 6, 7, 9, 11]


def test_the_order_of_keypoints_is_read_or_must_be_stated(video, tmp_path):
    right_first = person(3)
    source = export(tmp_path / "e.zip", {"short_00001": [right_first]})
    with pytest.raises(DatasetError, match=r"does not say which keypoint comes first"):
        import_labels(video, source)
    with pytest.raises(DatasetError, match="left_first or right_first or a list"):
        import_labels(video, source, keypoint_order="sideways")
    with pytest.raises(DatasetError, match="state the names"):
        import_labels(video, source, keypoint_order=["hip", "knee"])
    assert not video.has_frame_field(fields.GROUND_TRUTH)
    import_labels(video, source, keypoint_order="right_first")
    [found] = people(video, fields.GROUND_TRUTH, 0)
    assert np.allclose(found.points[0], right_first.points[1], atol=0.01)
    assert found.visibility[::2].tolist() == right_first.visibility[1::2].tolist()
    named = import_labels(video, source, keypoint_order=[n.upper() for n in RIGHT_FIRST])
    assert named.unchanged == 1


def test_labels_that_are_there_and_frames_that_are_out_stay(video, tmp_path):
    source = export(tmp_path / "a.zip", {f"short_{i:05d}": [person(i)] for i in (1, 2, 3)})
    import_labels(video, source, keypoint_order="left_first")
    frame_review.mark(video, [frame_ids(video)[1]], state=fields.OUT, key="round1")
    other = export(tmp_path / "b.zip", {f"short_{i:05d}": [person(i + 50)] for i in (1, 2)})
    before = snapshot(video, fields.GROUND_TRUTH)
    summary = import_labels(video, other, keypoint_order="left_first")
    assert (summary.written, summary.kept, summary.out) == (0, 1, 1)
    assert snapshot(video, fields.GROUND_TRUTH) == before
    summary = import_labels(video, other, keypoint_order="left_first", overwrite=True)
    assert (summary.written, summary.out) == (1, 1)
    after = snapshot(video, fields.GROUND_TRUTH)
    assert [a == b for a, b in zip(after, before, strict=True)][:3] == [False, True, True]


def test_a_pull_does_not_replace_labels_that_were_imported_since(video, server, tmp_path):
    chosen = [frame_ids(video)[i] for i in (0, 1, 4)]
    frame_review.mark(video, chosen, state=fields.SELECTED)
    push(video, "round1")
    server.complete_jobs(1)
    pull(video)
    source = export(tmp_path / "e.zip", {"short_00001": [person(1)], "short_00002": []})
    import_labels(video, source, keypoint_order="left_first", overwrite=True, confirm_empty=True)
    before = snapshot(video, fields.GROUND_TRUTH)
    server.move_point(1, 0, "left_knee", (50.0, 60.0))
    server.move_point(1, 2, "left_knee", (50.0, 60.0))
    server.complete_jobs(1)
    summary = pull(video, "round1")
    assert (summary.imported, summary.written, summary.elsewhere) == (2, 1, 0)
    assert snapshot(video, fields.GROUND_TRUTH)[:2] == before[:2]
    [told] = status(video)
    assert told.by_state == {"corrected": 2, "empty": 1}
    assert told.done


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch):
    """Run something that is stopped between the writing of labels and that of states."""

    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    def run(call):
        with monkeypatch.context() as patch:
            patch.setattr(frame_review, "mark", stop)
            with pytest.raises(KeyboardInterrupt):
                call()

    return run


def test_an_interrupted_import_is_completed_by_the_next(video, server, tmp_path, interrupted):
    chosen = [frame_ids(video)[i] for i in (0, 1)]
    frame_review.mark(video, chosen, state=fields.SELECTED)
    push(video, "round1")
    server.complete_jobs(1)
    pull(video)
    frame_review.mark(video, [frame_ids(video)[4]], state=fields.SELECTED)
    source = export(tmp_path / "e.zip", {f"short_{i:05d}": [person(i)] for i in (1, 5, 6)})

    def run(**options: bool):
        return import_labels(video, source, keypoint_order="left_first", **options)

    interrupted(lambda: run(overwrite=True))
    assert states(video)[4:6] == ["selected", None]
    assert run().unchanged == 3
    assert states(video)[4:6] == ["corrected", "corrected"]
    assert frame_review.read(video).key.tolist()[:2] == ["round1", "round1"]
    assert run(overwrite=True).unchanged == 3
    before = snapshot(video, fields.GROUND_TRUTH)
    summary = pull(video, "round1")
    assert (summary.imported, summary.written) == (1, 0)
    assert snapshot(video, fields.GROUND_TRUTH) == before


def test_frames_without_labels_are_empty_only_if_somebody_says_so(video, tmp_path):
    source = export(tmp_path / "e.zip", {"short_00001": [person(1)], "short_00002": []})
    assert import_labels(video, source, keypoint_order="left_first").not_looked_at == 1
    assert labels(video, fields.GROUND_TRUTH)[1] is None
    confirmed = import_labels(video, source, keypoint_order="left_first", confirm_empty=True)
    assert (confirmed.empty, confirmed.written) == (1, 1)
    assert labels(video, fields.GROUND_TRUTH)[1].keypoints == []
    assert states(video)[:2] == ["corrected", "empty"]


def test_an_export_of_a_push_is_known_by_the_names_it_gave(video, server, tmp_path):
    frame_review.mark(video, [frame_ids(video)[7]], state=fields.SELECTED)
    push(video, "round1")
    (tmp_path / "e.zip").write_bytes(server.export(1))
    with_key = import_labels(video, tmp_path / "e.zip", keypoint_order="left_first")
    assert (with_key.written, with_key.out) == (0, 1)
    server.complete_jobs(1)
    pull(video)
    again = import_labels(video, tmp_path / "e.zip", keypoint_order="left_first")
    assert again.unchanged == 1


def test_another_size_of_the_same_picture_is_scaled_and_another_picture_refused(
    dataset_name, tmp_path, server
):
    images = reviewing.image_dataset(dataset_name, tmp_path / "pictures", 2)
    names = [Path(path).stem.replace(" ", "_") for path in images.values("filepath")]
    images.set_values("source", [f"/camera/{name}.png" for name in names])
    half = (SIZE[0] // 2, SIZE[1] // 2)
    pose = Pose(person(1).points / 2, person(1).visibility)
    with connect(server.url, token=server.token) as session:
        project = session.project("theirs", legs.SKELETON)
        session.push_task(project, "half", [frame(names[0], half, [pose])])
        session.push_task(project, "square", [frame(names[1], (100, 100), [pose])])
    server.complete_jobs(1)
    server.complete_jobs(2)
    import_labels(images, "task:1")
    assert people(images, fields.GROUND_TRUTH, 0)[0].matches(person(1), within_px=0.01)
    with pytest.raises(DatasetError, match="labelled on a picture of 100 x 100 px"):
        import_labels(images, f"{server.url}/tasks/2/jobs/2")


def frame(name: str, size: tuple[int, int], poses: list[Pose]) -> Frame:
    import cv2

    data = cv2.imencode(".png", np.full((size[1], size[0], 3), 90, np.uint8))[1].tobytes()
    return Frame(data, *size, poses=poses, name=name)


@pytest.fixture
def their_project(server) -> int:
    """Two tasks of a project whose label starts with the right side; one is finished."""
    skeleton = Skeleton("person", tuple(name.replace("_", " ") for name in RIGHT_FIRST))
    with connect(server.url, token=server.token) as session:
        project = session.project("theirs", skeleton)
        for task in (1, 2):
            frames = [
                frame(f"clip_{10 * task + i:05d}", SIZE, [person(i)] * (i != 2)) for i in range(3)
            ]
            session.push_task(project, f"task{task}", frames, segment_size=1)
    server.complete_jobs(1)
    server.complete_jobs(2, [0])
    return project.id


def test_pictures_that_are_there_are_not_overwritten(server, their_project, dataset_name, tmp_path):
    (tmp_path / "clip_00011.png").write_bytes(b"a still of our own")
    with pytest.raises(DatasetError, match=r"clip_00011\.png is another picture"):
        import_labels(dataset_name, f"{server.url}/projects/{their_project}", media_dir=tmp_path)
    assert (tmp_path / "clip_00011.png").read_bytes() == b"a still of our own"


def test_a_project_becomes_an_image_dataset(server, their_project, dataset_name, tmp_path):
    source = f"{server.url}/projects/{their_project}"
    summary = import_labels(dataset_name, source, media_dir=tmp_path / "media")
    assert summary.made
    assert (summary.written, summary.persons, summary.empty) == (4, 3, 1)
    assert summary.unfinished == 2
    made = fo.load_dataset(dataset_name)
    assert made.persistent
    assert sorted(Path(path).name for path in made.values("filepath"))[0] == "clip_00010.png"
    assert len(made) == 6
    [found] = people(made, fields.GROUND_TRUTH, 1)
    assert np.allclose(found.points[0], person(1).points[1], atol=0.01)  # right first, by name
    assert [label is not None for label in labels(made, fields.GROUND_TRUTH)] == [
        *[True] * 4,
        *[False] * 2,
    ]
    server.complete_jobs(2)
    later = import_labels(dataset_name, source)
    assert (later.made, later.written, later.unchanged) == (False, 2, 4)


def test_an_export_with_pictures_becomes_an_image_dataset(dataset_name, tmp_path, monkeypatch):
    import cv2

    picture = tmp_path / "p.jpg"
    cv2.imwrite(str(picture), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    people_by_name = {"IMG (1) a": [person(1)], "IMG (2) ä": [person(2)]}
    source = export(tmp_path / "e.zip", people_by_name, picture)
    monkeypatch.setattr(fo.config, "default_dataset_dir", str(tmp_path / "fo"))
    summary = import_labels(dataset_name, source, keypoint_order="left_first")
    assert (summary.made, summary.written) == (True, 2)
    made = fo.load_dataset(dataset_name)
    assert people(made, fields.GROUND_TRUTH, 0)[0].matches(person(1), within_px=0.01)


@pytest.fixture
def backup(tmp_path) -> Path:
    path = tmp_path / "b.zip"
    frames = [frame(f"a{i}", SIZE, [person(i)]) for i in range(2)]
    write_backup(path, "theirs", legs.SKELETON, frames)
    return path


def test_a_backup_that_lacks_a_picture_makes_no_dataset(backup, dataset_name, tmp_path):
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(backup) as whole, zipfile.ZipFile(tmp_path / "c.zip", "w") as cut:
        whole.extractall(folder)
        for name in whole.namelist():
            if name != "data/a1.png":
                cut.writestr(name, whole.read(name))
    (folder / "data/a1.png").unlink()
    for source in (tmp_path / "c.zip", folder):
        with pytest.raises(FormatError, match=r"lacks 1 of its 2 pictures, the first is data/a1"):
            import_labels(dataset_name, source, media_dir=tmp_path / "media")
    assert not (tmp_path / "media").exists()
    assert not fo.dataset_exists(dataset_name)


def test_a_backup_with_a_damaged_picture_makes_no_dataset(backup, dataset_name, tmp_path):
    data = bytearray(backup.read_bytes())
    data[data.rindex(b"IEND")] ^= 1  # pictures are stored as they are, the last one is a1
    backup.write_bytes(data)
    with pytest.raises(FormatError, match=r"data/a1\.png is missing or damaged"):
        import_labels(dataset_name, backup, media_dir=tmp_path / "media")
    assert [path.name for path in (tmp_path / "media").iterdir()] == ["a0.png"]
    assert not fo.dataset_exists(dataset_name)


def test_what_cannot_become_a_dataset_makes_none(dataset_name, tmp_path):
    source = export(tmp_path / "e.zip", {"a": [person(1)]})
    with pytest.raises(DatasetError, match="holds no pictures to make it of"):
        import_labels(dataset_name, source, keypoint_order="left_first")
    with pytest.raises(DatasetError, match="does not say which"):
        import_labels(dataset_name, source)
    assert not fo.dataset_exists(dataset_name)


@pytest.mark.parametrize("segment_size", [0, 2])  # one job, or three that overlap
def test_frames_of_a_task_made_of_the_only_video(video, server, segment_size):
    with connect(server.url, token=server.token) as session:
        project = session.project("theirs", legs.SKELETON)
        label = project.label
    task = server.add_video_task(
        "clip", project.id, 4, SIZE, start=2, step=3, segment_size=segment_size
    )
    from cvat_bridge.shapes import to_shape

    server.draw(task.id, {"shapes": [to_shape(person(1), 1, label)], "tracks": []})
    summary = import_labels(video, f"task:{task.id}", unfinished=True)
    assert (summary.written, summary.persons, summary.not_looked_at) == (1, 1, 3)
    # Frame 1 of the task is frame 5 of the video from 0, 6 from 1.
    assert [i + 1 for i, label in enumerate(labels(video, fields.GROUND_TRUTH)) if label] == [6]


def test_a_task_on_another_server_than_the_logins_is_refused(video, server, monkeypatch):
    with pytest.raises(DatasetError, match=r"task 7 is on https://theirs\.example\.org, but the"):
        import_labels(video, "https://theirs.example.org/tasks/7")
    assert server.log == []
    monkeypatch.delenv("FIFTYONE_CVAT_URL")
    with pytest.raises(DatasetError, match=r"the login names no server: if you trust"):
        import_labels(video, f"{server.url}/tasks/7")
    assert server.log == []
    monkeypatch.setenv("FIFTYONE_CVAT_URL", server.url.upper().replace("HTTP", "http") + "/")
    with pytest.raises(NotFoundError):
        import_labels(video, f"{server.url}/tasks/7")


def test_two_pictures_of_one_name_are_refused(video, server):
    with connect(server.url, token=server.token) as session:
        project = session.project("theirs", legs.SKELETON)
        session.push_task(
            project, "t", [frame(name, SIZE, [person(1)]) for name in ("short_00001", "b")]
        )
    server.complete_jobs(1)
    for folder, shown in zip("ab", server.tasks[1].frames, strict=True):
        shown.name = f"{folder}/short_00001.png"  # as of a task made of a shared folder
    with pytest.raises(FormatError, match="two pictures named short_00001"):
        import_labels(video, "task:1")


def test_pictures_that_belong_nowhere_and_sources_that_are_nothing_are_told(video, tmp_path):
    source = export(tmp_path / "e.zip", {"other_00001": [person(1)]})
    with pytest.raises(
        DatasetError, match="they are named like other_00001, its frames like short"
    ):
        import_labels(video, source, keypoint_order="left_first")
    with pytest.raises(DatasetError, match="write task:12, project:3"):
        import_labels(video, tmp_path / "nothing.zip")


@pytest.mark.parametrize("also", ["val: images/train\n", 'test: ""\n', ""])
def test_a_picture_that_two_subsets_list_is_read_once(video, tmp_path, also):
    export(tmp_path / "set", {"short_00001": [person(1)], "short_00002": [person(2)]})
    (tmp_path / "set" / "data.yaml").write_text(
        f"train: images/train\n{also}kpt_shape: [10, 3]\nnames: [leg]\n"
    )
    summary = import_labels(video, tmp_path / "set", keypoint_order="left_first")
    assert (summary.written, summary.persons, summary.unmatched) == (2, 2, [])


def test_pictures_of_one_name_are_told_apart_by_their_folders(dataset_name, tmp_path):
    pictures = {name: tmp_path / f"{name}.png" for name in ("P01/0001", "P02/0001", "P03/0001")}
    for path in pictures.values():
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    image = pictures["P01/0001"]
    source = export(
        tmp_path / "e.zip",
        {name: [person(i)] for i, name in enumerate(("P01/0001", "P02/0001"))},
        image=image,
    )
    dataset = lp.load([path.parent for path in pictures.values()], dataset_name)
    summary = import_labels(dataset, source, keypoint_order="left_first")
    assert (summary.written, summary.unmatched) == (2, [])
    drawn = [label is not None for label in dataset.values(fields.GROUND_TRUTH)]
    assert drawn == [True, True, False]
    [second] = people(dataset, fields.GROUND_TRUTH, 1)
    assert second.matches(person(1), within_px=0.01)
    made = import_labels(f"{dataset_name}-anew", source, keypoint_order="left_first")
    assert (made.written, made.unmatched) == (2, [])
