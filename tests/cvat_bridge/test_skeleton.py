import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvat_bridge.errors import SkeletonError
from cvat_bridge.skeleton import Skeleton, SkeletonLabel
from fiftyone_legpose.legs import KEYPOINTS, SKELETON

names = st.lists(
    st.text(string.ascii_letters + string.digits + "_ '-äß膝", min_size=1, max_size=20)
    .map(str.strip)
    .filter(bool),
    min_size=1,
    max_size=12,
    unique=True,
)


@st.composite
def skeletons(draw):
    keypoints = draw(names)
    index = st.integers(0, len(keypoints) - 1)
    pairs = st.tuples(index, index).filter(lambda pair: pair[0] != pair[1])
    edges = draw(st.lists(pairs, unique_by=frozenset, max_size=12)) if len(keypoints) > 1 else []
    number = st.floats(0, 100)
    count = len(keypoints)
    layout = draw(st.lists(st.tuples(number, number), min_size=count, max_size=count))
    color = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)
    colors = draw(st.none() | st.lists(color, min_size=count, max_size=count))
    return Skeleton("limb", tuple(keypoints), tuple(edges), tuple(layout), colors)


def as_server_stores(label, first_id=100):
    """The label with ids, and the svg after the server's plain-text replacement."""
    label = json.loads(json.dumps(label)) | {"id": first_id}
    for number, sublabel in enumerate(label["sublabels"], start=first_id + 1):
        sublabel["id"] = number
        old, new = f'data-label-name="{sublabel["name"]}"', f'data-label-id="{number}"'
        label["svg"] = label["svg"].replace(old, new)
    return label


@given(skeletons())
def test_a_skeleton_survives_the_label_and_the_server(skeleton):
    label = skeleton.to_label()
    assert Skeleton.from_label(label) == skeleton
    stored = as_server_stores(label)
    assert "data-label-name" not in stored["svg"]
    read = SkeletonLabel.from_server(stored)
    assert read.skeleton == skeleton
    assert read.sublabel_ids == tuple(range(101, 101 + len(skeleton.keypoints)))


def test_the_legs_label_is_the_form_the_server_took(recordings: Path):
    spec = json.loads((recordings / "label_spec_request.json").read_text())
    ours = SKELETON.to_label()
    assert [s["name"] for s in ours["sublabels"]] == [s["name"] for s in spec["sublabels"]]
    strip = str.maketrans("", "", string.digits + ".")
    theirs = {part.translate(strip) for part in spec["svg"].split("><")}
    assert {part.translate(strip) for part in ours["svg"].split("><")} <= theirs | {
        part.translate(strip) for part in ("/line", "/circle", "/circle>")
    }


def test_without_a_layout_the_points_stand_on_a_circle():
    label = Skeleton("limb", ("a", "b", "c"), ((0, 1),)).to_label()
    assert Skeleton.from_label(label).keypoints == ("a", "b", "c")
    assert len(set(Skeleton.from_label(label).layout)) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": " "}, "name is empty"),
        ({"keypoints": ()}, "no keypoints"),
        ({"keypoints": ("hip", "hip")}, "hip is there twice"),
        ({"keypoints": ("hip", 'kn"ee')}, "cannot carry"),
        ({"keypoints": ("hip", "k&e")}, "cannot carry"),
        ({"keypoints": ("hip", "x" * 65)}, "longer than 64"),
        ({"keypoints": (" hip", "knee")}, "' hip' begins or ends with a space"),
        ({"name": "limb "}, "'limb ' begins or ends with a space"),
        ({"edges": ((0, 2),)}, "leaves the 2 keypoints"),
        ({"edges": ((1, 1),)}, "with itself"),
        ({"edges": ((0, 1), (1, 0))}, "there twice"),
        ({"layout": ((0, 0),)}, "layout has 1 entries"),
        ({"layout": ((0, 0), (0, 101))}, "layout of knee"),
        ({"layout": ((0, float("nan")), (0, 1))}, "layout of hip"),
        ({"colors": ("#123456", "red")}, "colour of knee"),
    ],
)
def test_what_cvat_could_not_draw_is_refused(change, told):
    with pytest.raises(SkeletonError, match=told):
        Skeleton(**({"name": "limb", "keypoints": ("hip", "knee")} | change))


def variant(recordings, number):
    recording = next(recordings.glob(f"{number}_*.json"))
    exchanges = json.loads(recording.read_text())["exchanges"]
    return exchanges[-1]["response_body"]["json"]["results"][0]


@pytest.mark.parametrize("number", [229, 230, 231, 601])
def test_labels_that_other_tools_drew_are_read(recordings, number):
    label = SkeletonLabel.from_server(variant(recordings, number))
    assert label.skeleton.keypoints == KEYPOINTS
    assert len(label.skeleton.edges) == 9
    assert list(label.sublabel_ids) == sorted(label.sublabel_ids)


def test_the_order_is_that_of_the_circles(recordings):
    label = SkeletonLabel.from_server(variant(recordings, 233))
    assert label.skeleton.keypoints == KEYPOINTS[::-1]
    assert list(label.sublabel_ids) == sorted(label.sublabel_ids, reverse=True)
    hip, knee = KEYPOINTS.index("left_hip"), KEYPOINTS.index("left_knee")
    assert (9 - hip, 9 - knee) in label.skeleton.edges


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (227, "lacks left_hip"),
        (228, "lacks left_hip"),
        (232, "lacks"),
        (234, "left_toe.*none of its sublabels"),
        (235, "not valid XML"),
        (236, "none of its sublabels"),
    ],
)
def test_labels_that_fail_at_export_are_refused_when_read(recordings, number, told):
    with pytest.raises(SkeletonError, match=told):
        SkeletonLabel.from_server(variant(recordings, number))


def test_another_type_of_label_is_refused():
    with pytest.raises(SkeletonError, match="not a skeleton"):
        Skeleton.from_label({"name": "car", "type": "rectangle"})


def test_differences_are_said_in_words():
    one = Skeleton("limb", ("hip", "knee", "foot"), ((0, 1), (1, 2)))
    assert one.differences(Skeleton("limb", one.keypoints, ((2, 1), (1, 0)), ((1, 2),) * 3)) == []
    told = one.differences(Skeleton("leg", ("hip", "ankle", "foot")))
    assert told == ["the label is named 'leg', not 'limb'", "it lacks knee", "it also has ankle"]
    assert "another order" in one.differences(Skeleton("limb", ("knee", "hip", "foot")))[0]
    assert one.differences(Skeleton("limb", one.keypoints, ((0, 1), (0, 2)))) == []
