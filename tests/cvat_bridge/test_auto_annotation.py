import io
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import PIL.Image
import pytest
from cvat_sdk import make_client
from cvat_sdk.auto_annotation.exceptions import BadFunctionError
from cvat_sdk.core import Client

from cvat_bridge.auto_annotation import pose_function
from cvat_bridge.backup import write_backup
from cvat_bridge.backup_reading import read_backup
from cvat_bridge.frames import Frame
from cvat_bridge.poses import Pose
from cvat_bridge.skeleton import Skeleton
from tests.cvat_server import CvatServer

LEG = Skeleton("leg", ("hip", "knee", "foot"), ((0, 1), (1, 2)))
NAN = float("nan")


@pytest.fixture
def client(cvat_server: CvatServer, tmp_path: Path) -> Iterator[Client]:
    logging.getLogger("cvat_sdk").setLevel(logging.ERROR)
    with make_client(cvat_server.url, credentials=(cvat_server.user, cvat_server.password)) as made:
        made.config.status_check_period = 0.01
        made.config.cache_dir = tmp_path / "cache"
        yield made


def picture(shade: int, **options) -> bytes:
    data = io.BytesIO()
    PIL.Image.new("RGB", (64, 48), (shade, 0, 0)).save(data, "PNG", **options)
    return data.getvalue()


def restored(client: Client, path, skeleton: Skeleton = LEG, frames: int = 3, **options):
    write_backup(
        path,
        "task",
        skeleton,
        [Frame(picture(40 * number), 64, 48) for number in range(frames)],
        **options,
    )
    return client.tasks.create_from_backup(path)


def by_shade(image: PIL.Image.Image) -> list[Pose]:
    """Two persons on the darkest picture, one on the next, nobody on the others."""
    shade = image.getpixel((0, 0))[0]
    sure = Pose([(1, 2), (3, 4), (5.125, 6)], [2, 2, 2], confidence=[0.9, 0.5, 0.49], score=0.8)
    cut = Pose([(7, 8), (9, 10), (NAN, NAN)], [2, 1, 0], score=0.3)
    return {0: [sure, cut], 40: [cut]}.get(shade, [])


def test_a_task_is_annotated_through_the_real_sdk(client, tmp_path):
    task = restored(client, tmp_path / "task.zip")
    function = pose_function(LEG, by_shade, occluded_below=0.5)
    cvataa.annotate_task(client, task.id, function)
    task.download_backup(tmp_path / "back.zip", status_check_period=0.01)
    poses = read_backup(tmp_path / "back.zip").poses
    assert {frame: len(people) for frame, people in poses.items()} == {0: 2, 1: 1}
    first, second = poses[0]
    assert first.visibility.tolist() == [2, 2, 1]
    np.testing.assert_array_equal(first.points, [(1, 2), (3, 4), (5.125, 6)])
    assert second.visibility.tolist() == [2, 1, 0]
    assert np.isfinite(second.points).all()


def test_the_threshold_of_the_user_counts(client, tmp_path):
    task = restored(client, tmp_path / "task.zip")
    cvataa.annotate_task(client, task.id, pose_function(LEG, by_shade), conf_threshold=0.5)
    (shape,) = task.get_annotations().shapes
    assert shape.frame == 0


def test_another_skeleton_is_refused_before_anything_is_drawn(client, tmp_path):
    other = Skeleton("leg", ("hip", "knee"), ((0, 1),))
    task = restored(client, tmp_path / "task.zip", other)
    with pytest.raises(BadFunctionError, match="foot"):
        cvataa.annotate_task(client, task.id, pose_function(LEG, by_shade))
    assert task.get_annotations().shapes == []


def test_the_model_sees_the_picture_upright_and_in_colour():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    seen = []
    function = pose_function(LEG, lambda image: seen.append((image.size, image.mode)) or [])
    turned = PIL.Image.open(io.BytesIO(picture(0, exif=exif)))
    context = SimpleNamespace(conf_threshold=None)
    assert function.detect(context, turned) == []
    assert function.detect(context, PIL.Image.new("L", (64, 48))) == []
    assert seen == [((48, 64), "RGB"), ((64, 48), "RGB")]


def test_a_backup_becomes_a_task_through_the_real_sdk(client, tmp_path):
    people = [Pose([(x, 1.0625), (x + 5, 2), (NAN, NAN)], [2, 1, 0], track_id=1) for x in range(5)]
    frames = [Frame(picture(40 * x), 64, 48, [person]) for x, person in enumerate(people)]
    for as_tracks in (False, True):
        path = tmp_path / f"{as_tracks}.zip"
        write_backup(path, "walk", LEG, frames, subset="Train", as_tracks=as_tracks)
        task = client.tasks.create_from_backup(path)
        assert (task.name, task.subset, task.size) == ("walk", "Train", 5)
        (label,) = task.get_labels()
        assert Skeleton.from_label(label.to_dict()).differences(LEG) == []
        drawn = task.get_annotations()
        assert (len(drawn.shapes), len(drawn.tracks)) == ((0, 1) if as_tracks else (5, 0))
        task.download_backup(tmp_path / f"back-{as_tracks}.zip", status_check_period=0.01)
        back = read_backup(tmp_path / f"back-{as_tracks}.zip")
        assert back.poses == {x: [person] for x, person in enumerate(people)}
        assert back.frame_names == tuple(f"frame_{x:06d}.png" for x in range(5))
