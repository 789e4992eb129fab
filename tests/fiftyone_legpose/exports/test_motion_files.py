"""Gait tables and motion files, read back by readers that others wrote."""

import csv
import sys
from pathlib import Path

import ezc3d
import fiftyone as fo
import numpy as np
import pandas as pd
import pyomeca
import pytest
import trc

import fiftyone_legpose as lp
from cvat_bridge.poses import Pose
from fiftyone_legpose import legs
from fiftyone_legpose.dataset import fields, keypoint_labels
from fiftyone_legpose.errors import DatasetError, MissingToolError
from fiftyone_legpose.exports.export import ENDINGS
from tests.fiftyone_legpose.gait_analysis.drawn import LEG_M, SIZE, film, walk

LOST = range(40, 60)
"""Rows of the first video on which nobody was found."""


@pytest.fixture
def walked():
    return walk(seconds=4)


@pytest.fixture
def videos(dataset_name, walked) -> fo.Dataset:
    """Somebody walks by, is lost for a while, and somebody else comes towards the camera."""
    dataset = fo.Dataset(dataset_name, media_type="video")
    keypoint_labels.declare(dataset, "legpose")
    metadata = fo.VideoMetadata(frame_width=SIZE[0], frame_height=SIZE[1], frame_rate=30.0)
    for name, azimuth, lost in (("side", 90, LOST), ("front", 0, ())):
        sample = fo.Sample(filepath=f"/ward/{name}.mp4", metadata=metadata, subject="P01")
        for i, points in enumerate(film(walked, azimuth)):
            pose = Pose(points, np.full(10, 2), np.full(10, 0.8), track_id=1)
            found = [] if i in lost else [pose]
            sample.frames[i + 1] = fo.Frame(legpose=keypoint_labels.to_keypoints(found, SIZE))
        dataset.add_sample(sample)
    lp.smooth(dataset)
    lp.gait(dataset, leg_length_m=LEG_M)
    return dataset


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_trc_is_read_by_two_readers(videos, tmp_path):
    lp.export(videos[:1], tmp_path / "walk.trc")
    head = trc.TRCData()
    head.load(str(tmp_path / "walk.trc"))
    assert (head["Units"], head["FileName"]) == ("m", "walk.trc")
    assert head["DataRate"] == pytest.approx(30) and head["NumFrames"] == 120
    markers = pyomeca.Markers.from_trc(tmp_path / "walk.trc", pandas_kwargs={"sep": "\t"})
    assert markers.channel.values.tolist() == list(legs.KEYPOINTS)
    assert markers.shape == (4, 10, 120)
    missing = np.isnan(markers.values[0]).all(axis=0)
    assert missing[42:58].all() and missing.sum() == len(LOST)
    thigh = markers.sel(channel="left_knee") - markers.sel(channel="left_hip")
    assert np.nanmedian(np.linalg.norm(thigh.values[:3], axis=0)) == pytest.approx(0.42, rel=0.05)
    # Up is up.
    heights = markers.sel(axis="y").mean(dim="time", skipna=True).values
    assert heights[0] > heights[2] > heights[4] > heights[6] >= 0


def test_c3d_with_its_events_is_read_by_pyomeca_and_ezc3d(videos, tmp_path):
    lp.export(videos[:1], tmp_path / "walk.c3d")
    markers = pyomeca.Markers.from_c3d(tmp_path / "walk.c3d")
    assert markers.channel.values.tolist() == list(legs.KEYPOINTS)
    assert markers.attrs["units"] == "mm"
    file = ezc3d.c3d(str(tmp_path / "walk.c3d"))
    assert file["parameters"]["POINT"]["RATE"]["value"][0] == pytest.approx(30)
    events = file["parameters"]["EVENT"]
    times = events["TIMES"]["value"]
    kept = videos.first()[fields.GAIT_DETAILS]["people"][0]["bouts"]
    true = sorted(event["time_s"] for bout in kept for event in bout["events"])
    assert np.allclose(times[0] * 60 + times[1], true, atol=1e-3)
    assert set(events["CONTEXTS"]["value"]) == {"Left", "Right"}
    assert set(events["LABELS"]["value"]) == {"Foot Strike", "Foot Off"}
    residuals = file["data"]["meta_points"]["residuals"][0]
    assert (residuals < 0).all(axis=0).sum() == len(LOST)


def test_mot_is_read_by_pyomeca(videos, tmp_path, walked):
    lp.export(videos, tmp_path / "walk.mot")
    angles = pyomeca.Analogs.from_mot(tmp_path / "walk.mot", pandas_kwargs={"sep": "\t"})
    assert {"knee_angle_l", "ankle_angle_r", "thigh_l"} <= set(angles.channel.values.tolist())
    knee = angles.sel(channel="knee_angle_l")
    true = np.degrees(walked.knee_flexion[:, 0])
    off = knee.values - np.interp(knee.time.values, walked.time_s, true)
    assert np.std(off) < 4
    assert "inDegrees=yes" in (tmp_path / "walk.mot").read_text()


def test_deeplabcut_csv_is_read_as_deeplabcut_reads_it(videos, tmp_path, walked):
    lp.export(videos, tmp_path / "walk.dlc.csv")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "walk_front_1.dlc.csv",
        "walk_side_1.dlc.csv",
    ]
    table = pd.read_csv(tmp_path / "walk_side_1.dlc.csv", header=[0, 1, 2], index_col=0)
    assert table.index.tolist() == list(range(120))
    knee = table["legpose"]["left_knee"]
    true = film(walked, 90)[:, 2]
    off = np.linalg.norm(knee[["x", "y"]].to_numpy() - true, axis=1)
    assert np.nanmax(off) < 6 and np.isnan(off).sum() == len(LOST)
    assert knee["likelihood"].dropna().between(0.79, 0.81).all()


def test_wide_rows_hold_every_keypoint(videos, tmp_path, walked):
    summary = lp.export(videos, tmp_path / "walk.wide.csv")
    found = rows(tmp_path / "walk.wide.csv")
    assert len(found) == summary.rows == 240 - len(LOST)
    row = next(r for r in found if (r["video"], r["frame"]) == ("side.mp4", "31"))
    assert float(row["time_s"]) == pytest.approx(1.0)
    assert float(row["right_foot_x_px"]) == pytest.approx(film(walked, 90)[30, 9, 0], abs=4)


def test_several_people_get_a_file_each(videos, tmp_path):
    summary = lp.export(videos, tmp_path / "walk.trc")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "walk_front_1.trc",
        "walk_side_1.trc",
    ]
    assert len(summary.files) == 2
    # Of a front view no leg is measured, so its unit is px.
    assert "\tpx\t" in (tmp_path / "walk_front_1.trc").read_text()


@pytest.mark.parametrize("kind", ["events", "strides", "parameters", "cycles"])
def test_tables_say_where_each_row_belongs(videos, tmp_path, kind):
    summary = lp.export(videos, tmp_path / f"walk.{kind}.csv")
    found = rows(tmp_path / f"walk.{kind}.csv")
    assert len(found) == summary.rows >= 4
    assert {row["video"] for row in found} == ({"side.mp4", "front.mp4"})
    assert {row["subject"] for row in found} == {"P01"}
    if kind == "events":
        assert {row["event"] for row in found} == {"contact", "toe_off"}
    if kind == "strides":
        front = [row for row in found if row["view"] == "front"]
        assert {row["stride_length_leg"] for row in front} == {""}
        assert all(float(row["stride_time_s"]) > 0.5 for row in found)
    if kind == "parameters":
        cadence = [row["mean"] for row in found if row["measure"] == "cadence_spm"]
        assert float(next(filter(None, cadence))) == pytest.approx(120 / 1.1, abs=2)
    if kind == "cycles":
        assert {int(row["percent"]) for row in found} == set(range(101))


def test_trajectories_hold_the_clean_path_and_what_was_filled(videos, tmp_path):
    sample = videos.first()
    sample.frames[20]["legpose"] = keypoint_labels.to_keypoints([], SIZE)
    sample.save()
    lp.smooth(videos)
    lp.export(videos, tmp_path / "legs.csv")
    found = rows(tmp_path / "legs.csv")
    filled = [row for row in found if (row["video"], row["frame"]) == ("side.mp4", "20")]
    assert len(filled) == 10
    assert {(row["source"], row["x_px"]) for row in filled} == {("filled", "")}
    assert all(row["x_smooth_px"] for row in filled)
    seen = [row for row in found if row["source"] == "predicted"]
    assert all(abs(float(row["x_px"]) - float(row["x_smooth_px"])) < 30 for row in seen)
    keys = [(r["video"], r["frame"], r["track"], r["keypoint"]) for r in found]
    assert len(set(keys)) == len(keys)


def test_an_ending_that_no_format_has_is_refused(videos, tmp_path):
    with pytest.raises(DatasetError, match=r"'\.xyz' of walk\.xyz: end it in one of") as error:
        lp.export(videos, tmp_path / "walk.xyz")
    assert all(ending in str(error.value) for ending in ENDINGS)
    with pytest.raises(DatasetError, match=r"walk\.trc would hold c3d"):
        lp.export(videos, tmp_path / "walk.trc", format="c3d")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.trc", "run smooth first"), ("a.events.csv", "run gait first")],
)
def test_what_was_not_made_yet_is_named(dataset_name, tmp_path, name, reason):
    dataset = fo.Dataset(dataset_name, media_type="video")
    keypoint_labels.declare(dataset, "legpose")
    dataset.add_sample(fo.Sample("/x/a.mp4"))
    with pytest.raises(DatasetError, match=reason):
        lp.export(dataset, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_joint_angles_of_nobody_are_refused(videos, tmp_path):
    with pytest.raises(DatasetError, match="nobody walks in these videos seen from aside"):
        lp.export(videos[1:], tmp_path / "walk.mot")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_its_extra(videos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ezc3d", None)
    with pytest.raises(MissingToolError, match=r"fiftyone-legpose\[formats\]"):
        lp.export(videos[:1], tmp_path / "walk.c3d")
    assert not list(tmp_path.iterdir())
