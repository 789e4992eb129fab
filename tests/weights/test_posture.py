import numpy as np

from weights.recipe.posture import SHARES, draw_posture, gait_angles


def test_normal_gait_has_its_textbook_peaks():
    hip, knee, ankle = np.degrees(gait_angles(np.arange(0, 1, 0.005)))
    assert 25 < hip.max() < 35
    assert -15 < hip.min() < -5
    assert 55 < knee.max() < 65
    assert knee.min() >= 0
    assert 5 < ankle.max() < 15
    assert -25 < ankle.min() < -10


def test_gait_repeats_with_every_cycle():
    assert np.allclose(gait_angles(np.array([0.0])), gait_angles(np.array([1.0])))


def test_postures_stay_within_what_joints_allow():
    rng = np.random.default_rng(0)
    assert np.isclose(sum(SHARES.values()), 1)
    for _ in range(300):
        posture = draw_posture(rng)
        assert (np.abs(posture.hip_flexion) < 2.2).all()
        assert ((posture.knee_flexion > -0.3) & (posture.knee_flexion < 2.6)).all()
        assert (np.abs(posture.ankle_dorsiflexion) < 1.1).all()
