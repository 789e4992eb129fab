import shutil

import fiftyone as fo

from fiftyone_legpose import demo
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.selection.select import select


def test_the_clip_of_a_project_that_was_moved_is_loaded_once(
    short_clip, dataset_name, tmp_path, monkeypatch
):
    monkeypatch.setattr(demo, "DATASET", dataset_name)
    for place in ("here", "there", "there"):
        clip = tmp_path / place / "sample.mp4"
        clip.parent.mkdir(exist_ok=True)
        shutil.copy(short_clip, clip)
        dataset = demo.load_clip(clip)
        assert dataset.values("filepath") == [str(clip)]
        assert dataset.values("source") == [str(clip)]


def test_a_second_demo_leaves_alone_what_was_selected_since(dataset_name, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "DATASET", dataset_name)
    demo.run_demo(tmp_path, open_app=False)
    dataset = fo.load_dataset(dataset_name)
    select(dataset, count=5)
    selected = frame_review.read(dataset).ids(fields.SELECTED)
    demo.run_demo(tmp_path, open_app=False)
    assert frame_review.read(dataset).ids(fields.SELECTED) == selected
    assert len(frame_review.read(dataset).ids(fields.OUT)) == demo.FRAMES_TO_CORRECT
