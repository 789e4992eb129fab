"""What a person changes on the timeline stays changed, whatever is found later."""

import itertools
from dataclasses import replace

import numpy as np

from fiftyone_legpose.gait_analysis.event_edits import (
    Edit,
    ShownPhase,
    apply_edits,
    find_edits,
    join_edits,
)
from fiftyone_legpose.gait_analysis.events import Event

FRAME, TIME_S = np.arange(1, 301), np.arange(300) / 30


def written(*borders: int) -> list[ShownPhase]:
    names = ("stance", "swing")
    return [
        ShownPhase(1, "left", names[i % 2], a, b - 1, (a, b - 1))
        for i, (a, b) in enumerate(itertools.pairwise(borders))
    ]


def test_nothing_changed_is_no_edit():
    phases = written(10, 30, 43, 63)
    assert find_edits(phases, phases) == []
    assert find_edits([], []) == []


def test_a_moved_border_is_a_moved_event():
    phases = written(10, 30, 43, 63)
    start = [replace(phases[0], first=12), *phases[1:]]
    assert find_edits(start, phases) == [Edit(1, "left", "contact", 12, 10)]
    end = [replace(phases[0], last=33), *phases[1:]]
    assert find_edits(end, phases) == [Edit(1, "left", "toe_off", 34, 30)]


def test_an_added_phase_is_two_events():
    added = ShownPhase(1, "right", "swing", 20, 29, None)
    assert find_edits([*written(10, 30), added], written(10, 30)) == [
        Edit(1, "right", "toe_off", 20, None),
        Edit(1, "right", "contact", 30, None),
    ]


def test_an_event_is_gone_when_all_its_phases_are():
    phases = written(10, 30, 43, 63)
    assert find_edits(phases[1:], phases) == [Edit(1, "left", "contact", None, 10)]
    assert find_edits(phases[:1], phases) == [
        Edit(1, "left", "contact", None, 43),
        Edit(1, "left", "toe_off", None, 63),
    ]


def test_moving_an_event_twice_is_moving_it_once_and_taking_an_added_one_away_is_nothing():
    moved = join_edits([Edit(1, "left", "contact", 12, 10)], [Edit(1, "left", "contact", 15, 12)])
    assert moved == [Edit(1, "left", "contact", 15, 10)]
    added = [Edit(1, "left", "contact", 12, None)]
    assert join_edits(added, [Edit(1, "left", "contact", None, 12)]) == []
    assert join_edits(added, added) == added


def test_edited_events_win_over_found_ones():
    found = [
        Event("left", "contact", 1.0, 0.9, "zeni"),
        Event("left", "toe_off", 1.6, 0.9, "zeni"),
        Event("left", "contact", 2.0, 0.9, "zeni"),
    ]
    edits = [
        Edit(1, "left", "contact", 34, 31),  # from 1.0 s to 1.1 s
        Edit(1, "left", "contact", None, 61),  # at 2.0 s
        Edit(1, "right", "toe_off", 46, None),
    ]
    events = apply_edits(found, edits, FRAME, TIME_S)
    assert [(e.side, e.kind, round(e.time_s, 3), e.edited) for e in events] == [
        ("left", "contact", 1.1, True),
        ("right", "toe_off", 1.5, True),
        ("left", "toe_off", 1.6, False),
    ]
    assert events[0].confidence == 1.0
