"""Drawn walks hold what they promise: feet that stand still, bones of one length, known times."""

import itertools

import numpy as np
import pytest

from fiftyone_legpose import legs
from weights.recipe.walking import ADULT, STYLES, simulate_walk

FPS = 120.0


@pytest.fixture(params=STYLES)
def walk(request):
    time_s = np.arange(0, 6, 1 / FPS)
    return simulate_walk(ADULT, STYLES[request.param], time_s, np.random.default_rng(0))


def joint(walk, name: str) -> np.ndarray:
    return walk.keypoints[:, legs.KEYPOINTS.index(name)]


@pytest.mark.parametrize("side", [0, 1])
def test_a_foot_stands_from_its_contact_to_its_toe_off(walk, side):
    name = ("left", "right")[side]
    heel, toe = joint(walk, f"{name}_heel"), joint(walk, f"{name}_foot")
    stands = 0
    for contact in walk.contacts_s[side]:
        later = walk.toe_offs_s[side][walk.toe_offs_s[side] > contact]
        if not len(later):
            continue
        stance = later[0] - contact
        inside = (walk.time_s > contact + 0.2 * stance) & (walk.time_s < later[0])
        flat = inside & (walk.time_s < contact + 0.45 * stance)
        assert np.ptp(heel[flat], axis=0).max() < 0.01
        assert np.ptp(toe[inside], axis=0).max() < 0.01
        swing = walk.time_s > later[0] + 0.1
        assert (toe[swing & (walk.time_s < later[0] + 0.2), 2] > toe[inside, 2].max() + 0.03).all()
        stands += 1
    assert stands >= 3


def test_bones_keep_their_length_and_bend_as_the_angles_say(walk):
    for i, side in enumerate(("left", "right")):
        hip, knee, ankle = (joint(walk, f"{side}_{n}")[:, 1:] for n in ("hip", "knee", "ankle"))
        for ends, bone in (((hip, knee), ADULT.thigh), ((knee, ankle), ADULT.shank)):
            length = np.linalg.norm(ends[1] - ends[0], axis=1)
            assert np.allclose(length, np.linalg.norm(bone), atol=0.004)
        thigh, shank = (
            np.arctan2(low[:, 1] - high[:, 1], high[:, 0] - low[:, 0])
            for high, low in ((hip, knee), (knee, ankle))
        )
        rest = [np.arctan2(bone[1], -bone[0]) for bone in (ADULT.thigh, ADULT.shank)]
        bent = (thigh - rest[0]) - (shank - rest[1])
        assert np.allclose(bent, walk.knee_flexion[:, i], atol=0.03)


def test_contacts_take_turns_at_the_style_s_pace(walk):
    times = sorted([(t, i) for i in (0, 1) for t in walk.contacts_s[i]])
    assert all(a[1] != b[1] for a, b in itertools.pairwise(times))
    assert 0.4 < walk.speed_m_s < 1.4
