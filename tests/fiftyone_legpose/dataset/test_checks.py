import fiftyone as fo
import pytest

import fiftyone_legpose as lp
from fiftyone_legpose.errors import DatasetError


@pytest.fixture
def cameras(short_clip, dataset_name):
    """Two cameras of one trial, as FiftyOne groups them."""
    dataset = fo.Dataset(dataset_name)
    dataset.add_group_field("group", default="front")
    group = fo.Group()
    dataset.add_samples(
        [fo.Sample(str(short_clip), group=group.element(name)) for name in ("front", "side")],
        progress=False,
    )
    return dataset


@pytest.mark.parametrize("part", ["all", "side"])
def test_a_grouped_dataset_is_refused_and_its_flat_copy_taken(part, cameras, tmp_path):
    given = cameras if part == "all" else cameras.select_group_slices(part)
    verbs = {
        "predict": lambda: lp.predict(given),
        "select": lambda: lp.select(given, count=2),
        "push": lambda: lp.push(given, "r1", backup=tmp_path / "r1.zip"),
        "export": lambda: lp.export(given, tmp_path / "out.csv"),
        "train": lambda: lp.train(given, name="round1", base="legpose-yolov8n"),
        "evaluate": lambda: lp.evaluate(given),
    }
    for name, verb in verbs.items():
        with pytest.raises(DatasetError, match=r"is grouped \(front, side\)") as refused:
            verb()
        assert "select_group_slices(['front', 'side']).clone(" in str(refused.value), name
    assert not list(tmp_path.iterdir())
    flat = cameras.select_group_slices(["front", "side"]).clone(f"{cameras.name}-flat")
    assert lp.predict(flat, backend="torch", imgsz=160).frames == 24
    lp.select(flat, count=2)
    assert lp.push(flat, "r1", backup=tmp_path / "r1.zip").frames == 2
