import shutil

from fiftyone_legpose import demo


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
