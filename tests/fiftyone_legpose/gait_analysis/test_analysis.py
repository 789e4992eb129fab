"""Bouts, events, strides, angles and metres against walks of which everything is known."""

from dataclasses import replace

import numpy as np
import pytest

from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.gait_analysis.angles import normalise_cycles
from fiftyone_legpose.gait_analysis.bouts import find_bouts
from fiftyone_legpose.gait_analysis.motion import read_motion
from fiftyone_legpose.gait_analysis.person import Measured, analyse
from fiftyone_legpose.gait_analysis.scale import read_segments
from fiftyone_legpose.gait_analysis.summary import summarise
from tests.fiftyone_legpose.gait_analysis.drawn import LEG_M, compare, film, path, walk

NOTHING = Measured({})


def one_bout(style="normal", azimuth=90, measured=NOTHING, treadmill=False, **options):
    walked = walk(style, **options)
    person = analyse(path(film(walked, azimuth, treadmill=treadmill), walked.time_s), measured)
    assert len(person.bouts) == 1
    return walked, person.bouts[0]


@pytest.mark.parametrize(
    ("azimuth", "view", "heading"),
    [
        (90, "side", 180),
        (270, "side", 0),
        (45, "oblique", 135),
        (0, "front", 90),
        (180, "back", -90),
    ],
)
@pytest.mark.parametrize("treadmill", [False, True])
def test_view_direction_and_surface_are_recognised(azimuth, view, heading, treadmill):
    _, found = one_bout(azimuth=azimuth, treadmill=treadmill, seconds=4)
    assert found.bout.view == view
    assert abs((found.bout.heading_deg - heading + 180) % 360 - 180) < 8
    assert found.bout.surface == ("treadmill" if treadmill else "overground")


def test_standing_and_turning_are_cut_out():
    walked = walk(seconds=5)
    there = film(walked, 90)
    still = np.repeat(there[-1:], 60, axis=0) + np.random.default_rng(0).normal(0, 1, (60, 10, 2))
    back = there[::-1] * [-1, 1] + [2 * there[-1, 0, 0], 0]
    time_s = np.arange(len(there) * 2 + 60) / 30
    motion = read_motion(path(np.concatenate([there, still, back]), time_s))
    bouts = find_bouts(motion)
    assert len(bouts) == 2
    assert bouts[0].end_s < 6.1 and bouts[1].start_s > 5.9
    assert not find_bouts(read_motion(path(np.repeat(there[:1], 90, axis=0), time_s[:90])))
    assert read_motion(path(there[:20], time_s[:20])) is None


def test_turning_round_while_walking_on_is_cut_out():
    walked = walk(seconds=9)
    turned = np.interp(walked.time_s, [4.0, 5.2], [90, 270])
    points = np.stack(
        [film(walked, azimuth, treadmill=True)[i] for i, azimuth in enumerate(turned)]
    )
    bouts = find_bouts(read_motion(path(points, walked.time_s)))
    assert len(bouts) == 2
    assert bouts[0].end_s < 4.6 < bouts[1].start_s
    assert [bout.forward for bout in bouts] == [-1, 1]


@pytest.mark.parametrize("style", ["normal", "scissor", "dragging", "shuffling", "limping"])
@pytest.mark.parametrize(("fps", "treadmill"), [(25, False), (60, True)])
def test_events_from_aside_are_within_a_frame(style, fps, treadmill):
    walked, found = one_bout(style, fps=fps, treadmill=treadmill)
    for kind, truth in (("contact", walked.contacts_s), ("toe_off", walked.toe_offs_s)):
        for side, true in zip(("left", "right"), truth, strict=True):
            times = np.array([e.time_s for e in found.events if (e.side, e.kind) == (side, kind)])
            inner = true[(true > 0.15) & (true < walked.time_s[-1] - 0.15)]
            errors, wrong = compare(times[(times > 0.05) & (times < 5.9)], inner)
            assert wrong <= 1 and len(errors) >= 3
            assert np.mean(np.abs(errors)) < 0.033


@pytest.mark.parametrize("azimuth", [0, 180])
def test_events_from_before_and_behind_are_found(azimuth):
    walked, found = one_bout(azimuth=azimuth, treadmill=True)
    assert {event.method for event in found.events} == {"heights"}
    for kind, truth in (("contact", walked.contacts_s), ("toe_off", walked.toe_offs_s)):
        times = np.array([e.time_s for e in found.events if (e.side, e.kind) == ("left", kind)])
        errors, wrong = compare(times, truth[0])
        assert wrong <= 2 and np.mean(np.abs(errors)) < 0.04


@pytest.mark.parametrize("style", ["normal", "limping"])
def test_parameters_are_those_of_the_walk(style):
    walked, found = one_bout(style, measured=Measured({"leg_length_m": LEG_M}), fps=60)
    told = summarise(found.strides, found.scale)
    stride_s = np.mean(np.concatenate([np.diff(times) for times in walked.contacts_s]))
    assert told["cadence_spm"] == pytest.approx(120 / stride_s, abs=1)
    measures = told["measures"]
    assert measures["speed_m_s"]["both"]["mean"] == pytest.approx(walked.speed_m_s, rel=0.05)
    for i, side in enumerate(("left", "right")):
        own, other = walked.contacts_s[i], walked.contacts_s[1 - i]
        step = np.mean([t - other[other < t][-1] for t in own if (other < t).any()])
        assert measures["step_time_s"][side]["mean"] == pytest.approx(step, abs=0.035)
        off = walked.toe_offs_s[i]
        stance = np.mean([off[off > t][0] - t for t in own if (off > t).any()])
        assert measures["stance_s"][side]["mean"] == pytest.approx(stance, abs=0.06)
    index = told["symmetry_index"]["step_time_s"]
    assert (abs(index) < 6) if style == "normal" else (index > 15)


def test_what_cannot_be_known_is_missing_never_zero():
    _, found = one_bout(azimuth=0, treadmill=True, measured=Measured({"leg_length_m": LEG_M}))
    assert found.scale is None
    assert {stride.step_length_leg for stride in found.strides} == {None}
    told = summarise(found.strides, found.scale)
    assert told["measures"]["step_length_leg"]["both"] == {
        "mean": None, "sd": None, "cv": None, "n": 0
    }  # fmt: skip
    assert "step_length_m" not in told["measures"]
    assert told["symmetry_index"]["step_length_leg"] is None
    assert summarise([], None)["cadence_spm"] is None
    assert set(found.cycles["left"]) == {"thigh_out_deg", "shank_out_deg"}


@pytest.mark.parametrize(
    ("measured", "treadmill"),
    [
        (Measured({"leg_length_m": LEG_M}), False),
        (Measured({"thigh_m": 0.42}), False),
        (Measured({"shank_m": 0.4105}), True),
        (Measured({"foot_m": 0.2205}), False),
        (Measured({}, belt_speed_m_s=1.18), True),
    ],
    ids=lambda value: str(value),
)
def test_metres_come_from_what_was_measured_with_their_error(measured, treadmill):
    _, found = one_bout(measured=measured, treadmill=treadmill)
    lengths = [s.stride_length_leg * found.scale.m_per_leg for s in found.strides]
    assert np.mean(lengths) == pytest.approx(1.3, rel=0.06)
    assert 0 < found.scale.error_share < 0.2
    assert found.scale.source in (*measured.segments, "belt_speed_m_s")


def test_angles_are_those_of_the_joints():
    walked, found = one_bout(azimuth=90, fps=60)
    for i, side in enumerate(("left", "right")):
        own = [stride for stride in found.strides if stride.side == side]
        cycles = [(stride.start_s, stride.end_s) for stride in own]
        for name, truth in (
            ("knee_flexion_deg", walked.knee_flexion),
            ("ankle_dorsiflexion_deg", walked.ankle_dorsiflexion),
            ("thigh_deg", walked.hip_flexion),
        ):
            true = normalise_cycles(walked.time_s, np.degrees(truth[:, i]), cycles).mean(axis=0)
            seen = found.cycles[side][name]
            assert seen.shape == (len(own), 101)
            off = seen.mean(axis=0) - true
            assert np.std(off) < 3, name


def test_cycles_with_anything_unknown_are_unknown():
    time_s = np.arange(0, 3, 0.1)
    values = time_s.copy()
    values[15] = np.nan
    curves = normalise_cycles(time_s, values, [(0.0, 1.0), (1.0, 2.0), (2.0, 3.5)])
    assert np.allclose(curves[0], np.linspace(0, 1, 101))
    assert np.isnan(curves[1:]).all()


def test_uneven_frames_and_gaps_do_not_move_events():
    walked = walk(fps=60)
    kept = np.sort(np.random.default_rng(0).choice(len(walked.time_s), 250, replace=False))
    whole = path(film(walked, 90)[kept], walked.time_s[kept])
    found = analyse(whole, NOTHING).bouts[0]
    times = np.array([e.time_s for e in found.events if (e.side, e.kind) == ("left", "contact")])
    errors, _ = compare(times, walked.contacts_s[0])
    assert len(errors) >= 4 and np.mean(np.abs(errors)) < 0.025
    points = whole.points.copy()
    points[100:140] = np.nan
    assert len(analyse(replace(whole, points=points), NOTHING).bouts) == 2


def test_the_subjects_table_is_read_and_checked(tmp_path):
    file = tmp_path / "subjects.csv"
    file.write_text("subject,leg_length_m,foot_m\nP01,0.85,\nP02,,0.26\n")
    assert read_segments(file) == {"P01": {"leg_length_m": 0.85}, "P02": {"foot_m": 0.26}}
    for text, reason in (
        ("subject,leg_length_m\nP01,85\n", "P01: leg_length_m is 85; give metres"),
        ("subject,leg_length_m\nP01,x\n", "leg_length_m is x"),
        ("subject,leg_length_m\nP01,0.8\nP01,0.8\n", "twice"),
        ("name,leg_length_m\nP01,0.8\n", "needs the column subject"),
        ("", "needs the column subject"),
    ):
        file.write_text(text)
        with pytest.raises(DatasetError, match=reason):
            read_segments(file)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_segments(tmp_path / "none.csv")
