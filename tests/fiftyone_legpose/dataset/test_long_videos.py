"""What a video holds does not have to fit into one of MongoDB's documents."""

import fiftyone as fo
import pytest
from fiftyone import ViewField as F

import fiftyone_legpose as lp
from fiftyone_legpose.dataset import fields, frames
from fiftyone_legpose.dataset.frames import raw

FAST = {"backend": "torch", "imgsz": 160, "conf": 0.1}
LIMIT = "internalLookupStageIntermediateDocumentMaxSizeBytes"
SMALLEST_LIMIT = 16 * 1024 * 1024 + 16 * 1024


@pytest.fixture
def short_of_room(monkeypatch):
    """Let MongoDB hold as little of a video at once as it can be told to, and read pages of 4."""
    monkeypatch.setattr(frames, "_PAGE", 4)
    admin = fo.core.odm.get_db_conn().client.admin
    before = admin.command("getParameter", 1, **{LIMIT: 1})[LIMIT]
    admin.command("setParameter", 1, **{LIMIT: SMALLEST_LIMIT})
    yield
    admin.command("setParameter", 1, **{LIMIT: before})


@pytest.fixture
def two(short_clip, dataset_name, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(short_clip.read_bytes())
    return lp.load([short_clip, other], dataset_name)


def test_pages_hold_what_one_query_holds(two, monkeypatch):
    [ids] = frames.values(two, "id")
    views = [
        two.select_frames([ids[20], ids[2], ids[9]]),
        two.match_frames(F("frame_number") > 5),
        two.exclude_frames(ids[:13]),
        two.select(two.last().id).match_frames(F("frame_number") == 11),
        two.sort_by("filepath", reverse=True).select_frames(ids[3:17]),
        two.match(F("filepath").ends_with("other.mp4")),
        two.match_frames(F("frame_number") > 50),
    ]

    def read(view):
        return [
            frames.values(view, "id", "frame_number", "time_s"),
            frames.sample_values(view, "id", "filepath"),
        ]

    whole = [read(view) for view in views]
    monkeypatch.setattr(frames, "_PAGE", 4)
    assert [read(view) for view in views] == whole
    assert [len(told[0][0]) for told in whole] == [3, 14, 11, 1, 14, 12, 0]


def test_a_video_that_mongodb_cannot_hold_goes_around(
    two, short_of_room, cvat_server, tmp_path, monkeypatch
):
    lp.predict(two, **FAST)
    two.add_frame_field("padding", fo.StringField)
    raw(two).update_many({}, {"$set": {"padding": "x" * 1_600_000}})
    with pytest.raises(Exception, match="lookup stage exceeds"):
        two.match_frames(F("frame_number") > 1).values("id")
    assert lp.predict(two, **FAST).skipped == 24
    first_half = two.match_frames(F("frame_number") <= 6)
    chosen = lp.select(first_half, count=3, min_gap_s=0.05, tag="look")
    [ids, tags] = frames.values(chosen, "id", f"{fields.REVIEW}.tags")
    assert len(ids) == 3
    assert tags == [["look"]] * 3
    monkeypatch.setenv("FIFTYONE_CVAT_TOKEN", cvat_server.token)
    monkeypatch.setenv("FIFTYONE_CVAT_URL", cvat_server.url)
    assert lp.push(two, "r1").frames == 3
    cvat_server.complete_jobs(1)
    assert lp.status(two)[0].by_state["completed"] == 3
    assert lp.pull(two, "r1").written == 3
    lp.export(first_half, tmp_path / "out.csv")
    assert lp.evaluate(two).counts["frames"] == 3
