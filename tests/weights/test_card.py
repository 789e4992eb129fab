from dataclasses import replace

import numpy as np
import pytest

from fiftyone_legpose import legs
from fiftyone_legpose.evaluation.metrics import Persons
from weights.recipe.card import (
    KINDS,
    kinds_table,
    others_table,
    points_table,
    settings_table,
    write_between_marks,
)
from weights.recipe.measuring import Truth


@pytest.fixture
def truth() -> Truth:
    """One person in each of three pictures, of three kinds of footage."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 200, (3, 10, 2))
    unknown = np.full((3, 10), np.nan)
    return Truth(
        names=("ccp_0a", "p2s1_cam03_0000_0", "woman_003"),
        images=(np.zeros((200, 200, 3), np.uint8),) * 3,
        persons=Persons(np.arange(3), points, np.full((3, 10), 2), unknown, unknown[:, 0]),
        leg=np.full(3, 100.0),
        area=np.full(3, 20_000.0),
    )


@pytest.fixture
def predicted(truth) -> Persons:
    """Everything in place, but the sides of the person in the laboratory."""
    points = truth.persons.points.copy()
    points[1] = points[1, list(legs.FLIP_INDEX)]
    return replace(
        truth.persons, points=points, confidence=np.full((3, 10), 0.9), score=np.full(3, 0.9)
    )


def rows(table: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return {first: rest for first, *rest in cells}


def test_a_kind_of_footage_is_a_row_and_those_without_pictures_are_none(truth, predicted):
    got = rows(kinds_table(truth, predicted))
    assert got["street fashion"][:4] == ["1 / 1", "1.000", "1.000", "1.000"]
    assert got["laboratory, another camera"][5] == "1.000"
    assert got["outdoors from the side, a woman"][5] == "0.000"
    assert "pedestrians" not in got


def test_every_picture_is_of_one_kind():
    names = ["ccp_1", "street_1", "web_1", "cross_1", "open_1", "gym_1", "graz_1", "p2s2_1"]
    for name in [*names, "intel_1", "woman_1", "man_1"]:
        belongs = [kind for kind, is_of in KINDS.items() if is_of(name)]
        assert len(belongs) == 2, (name, belongs)


def test_settings_stand_below_each_other(truth, predicted):
    got = rows(settings_table(truth, {"bare": predicted, "voting": truth_as_answer(truth)}))
    assert got["legs/val: bare"][4] == "1.000"
    assert got["legs/val: voting"][4] == "0.000"


def truth_as_answer(truth: Truth) -> Persons:
    return replace(truth.persons, confidence=np.full((3, 10), 0.9), score=np.full(3, 0.9))


def test_others_are_measured_on_what_they_have(truth, predicted):
    coco = replace(predicted, points=predicted.points.copy())
    coco.points[:, 6:] = 0
    got = rows(others_table(truth, {"ours": predicted, "COCO": coco}))
    assert got["street fashion"] == ["1.00 / 1.00", "1.00 / 1.00"]
    assert got["laboratory, another camera"][0] == got["laboratory, another camera"][1]


def test_points_are_told_apart(truth, predicted):
    truth.persons.visibility[0, 9] = 1
    got = rows(points_table(truth, predicted))
    assert got["PCK@0.1: left_foot"] == ["1.000", "0.000", "1.000"]
    assert got["PCK@0.1: occluded points"][0] == "1.000"
    share = got[f"mean confidence / share under {legs.OCCLUDED_BELOW}: visible points"]
    assert share[0] == "0.90 / 0.00"


def test_tables_replace_what_stands_between_their_marks(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
    write_between_marks(card, "results", r"new \1")
    assert card.read_text() == "before\n<!-- results -->\n\nnew \\1\n\n<!-- /results -->\nafter\n"
    with pytest.raises(ValueError, match="blazepose"):
        write_between_marks(card, "blazepose", "")
