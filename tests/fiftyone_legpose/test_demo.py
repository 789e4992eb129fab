import shutil

import fiftyone as fo

import fiftyone_legpose as lp
from fiftyone_legpose import demo
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.selection.select import select
from fiftyone_legpose.videos import load


def quick_predict(dataset, **options):
    """Predict as the demo does, only less well."""
    return lp.predict(dataset, backend="torch", imgsz=160, every=20)


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
    [handed_over] = tmp_path.glob("*.zip")
    dataset = fo.load_dataset(dataset_name)
    select(dataset, count=5)
    selected = frame_review.read(dataset).ids(fields.SELECTED)
    demo.run_demo(tmp_path, open_app=False)
    assert frame_review.read(dataset).ids(fields.SELECTED) == selected
    assert len(frame_review.read(dataset).ids(fields.OUT)) == demo.FRAMES_TO_CORRECT
    assert list(tmp_path.glob("*.zip")) == [handed_over]


def test_a_demo_whose_dataset_was_deleted_leaves_the_file_of_before(
    dataset_name, tmp_path, monkeypatch
):
    monkeypatch.setattr(demo, "DATASET", dataset_name)
    monkeypatch.setattr(demo, "predict", quick_predict)
    contents = set()
    for _ in range(2):
        demo.run_demo(tmp_path, open_app=False)
        contents.update(path.read_bytes() for path in tmp_path.glob("*.zip"))
        fo.delete_dataset(dataset_name)
    assert len(list(tmp_path.glob("*.zip"))) == len(contents) == 2


def test_a_demo_in_a_folder_that_cannot_be_written_goes_to_the_home(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "demo").touch()  # in the place of a folder, since root may write into any
    assert demo._writable(tmp_path / "demo") == tmp_path / "legpose" / "demo"
    assert "cannot be written" in capsys.readouterr().out
    assert demo._writable(tmp_path / "other") == tmp_path / "other"


def test_the_app_opens_the_last_dataset_or_an_empty_one(short_clip, dataset_name, monkeypatch):
    before = fo.list_datasets()
    monkeypatch.setattr(fo, "list_datasets", lambda info: [])
    monkeypatch.setattr(load, "EMPTY", f"{dataset_name}-empty")
    empty = load.last_opened()
    assert (empty.name, empty.media_type, len(empty)) == (f"{dataset_name}-empty", "video", 0)
    monkeypatch.undo()
    first, second = (lp.load(short_clip, f"{dataset_name}-{n}") for n in "ab")
    assert load.last_opened().name == second.name
    fo.load_dataset(first.name)
    assert load.last_opened().name == first.name
    assert set(fo.list_datasets()) - set(before) == {empty.name, first.name, second.name}
