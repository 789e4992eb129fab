from fiftyone_legpose import legs


def test_order_is_left_then_right_from_hip_to_foot():
    parts = ("hip", "knee", "ankle", "heel", "foot")
    expected = tuple(f"{side}_{part}" for part in parts for side in ("left", "right"))
    assert expected == legs.KEYPOINTS


def test_mirroring_swaps_sides_and_nothing_else():
    for index, mirrored in enumerate(legs.FLIP_INDEX):
        assert legs.FLIP_INDEX[mirrored] == index
        here, there = legs.KEYPOINTS[index].split("_"), legs.KEYPOINTS[mirrored].split("_")
        assert here[1] == there[1]
        assert here[0] != there[0]


def test_edges_join_the_same_side_but_for_the_pelvis():
    for a, b in legs.EDGES[1:]:
        assert legs.KEYPOINTS[a].split("_")[0] == legs.KEYPOINTS[b].split("_")[0]
    assert {k for edge in legs.EDGES for k in edge} == set(range(10))


def test_every_keypoint_has_a_sigma_a_colour_and_a_place():
    assert len(legs.SIGMAS) == len(legs.COLORS) == len(legs.SKELETON.layout) == 10
    for index, mirrored in enumerate(legs.FLIP_INDEX):
        assert legs.SIGMAS[index] == legs.SIGMAS[mirrored]
