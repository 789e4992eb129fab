import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiftyone_legpose.dataset.groups import sample_groups
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.training.splits import check_split, split_frames

_GROUPS = st.lists(st.sampled_from([f"subject {i}" for i in range(9)]), min_size=2, max_size=60)


@settings(deadline=None)
@given(groups=_GROUPS, share=st.floats(0.05, 0.95), seed=st.integers(0, 3))
def test_no_group_is_ever_on_both_sides(groups, share, seed):
    if len(set(groups)) == 1:
        with pytest.raises(DatasetError, match="one subject or video"):
            split_frames(groups, share=share, seed=seed)
        return
    split = split_frames(groups, share=share, seed=seed)
    sides = [{groups[i] for i in side} for side in (split.train, split.val)]
    assert not sides[0] & sides[1]
    assert all(sides)
    assert sorted([*split.train, *split.val]) == list(range(len(groups)))
    assert split.shared == ()


def test_the_share_is_met_where_groups_allow_it():
    groups = [f"subject {i % 20}" for i in range(400)]
    assert len(split_frames(groups, share=0.25).val) == 100
    assert not np.array_equal(split_frames(groups, seed=1).val, split_frames(groups, seed=2).val)


@pytest.mark.parametrize("seed", range(6))
def test_a_group_never_changes_sides_between_rounds(seed):
    first = ["subject a"] * 4 + ["subject b"] * 4
    before = split_frames(first)
    fixed = {first[i]: "train" for i in before.train} | {first[i]: "val" for i in before.val}
    later = first + [f"subject {c}" for c in "cdefgh" for _ in range(9)]
    after = split_frames(later, fixed=fixed, share=0.4, seed=seed)
    for name, side in fixed.items():
        chosen = after.train if side == "train" else after.val
        assert {i for i, group in enumerate(later) if group == name} <= set(chosen)


def test_groups_that_the_base_was_trained_on_do_not_validate():
    groups = ["subject a"] * 2 + ["subject b"] * 9 + ["subject c"] * 3
    seen = {"subject a", "subject c"}
    for fixed in ({}, dict.fromkeys(seen, "val"), dict.fromkeys(groups, "train")):
        split = split_frames(groups, fixed=fixed, seen=seen)
        assert {groups[i] for i in split.val} == {"subject b"}
        assert split.shared == ()
    with pytest.raises(DatasetError, match=r"trained on all .*\(subject a, subject b, subject c\)"):
        split_frames(groups, seen=set(groups))
    allowed = split_frames(groups, seen=set(groups), allow_shared_subjects=True)
    assert allowed.shared == ("subject a",)
    assert allowed.val.tolist() == [0, 1]


def test_chosen_validation_that_the_base_was_trained_on_is_refused():
    groups, videos = ["subject a", "subject b"], ["video 1", "video 2"]
    for seen in ({"subject b"}, {"video 2"}):
        with pytest.raises(DatasetError, match=r"trained on (subject b|video 2), so"):
            check_split([0], [1], groups, videos, seen=seen)
        allowed = check_split([0], [1], groups, videos, seen=seen, allow_shared_subjects=True)
        assert allowed.shared == tuple(seen)
    assert check_split([0], [1], groups, videos, seen={"subject a", "video 1"}).shared == ()


def test_one_group_is_cut_in_time_only_when_allowed():
    split = split_frames(["subject a"] * 10, share=0.3, allow_shared_subjects=True)
    assert split.train.tolist() == list(range(7))
    assert split.val.tolist() == [7, 8, 9]
    assert split.shared == ("subject a",)


def test_too_little_to_split_is_refused():
    with pytest.raises(DatasetError, match=r"1 frame\(s\)"):
        split_frames(["subject a"], allow_shared_subjects=True)
    with pytest.raises(DatasetError, match="between 0 and 1"):
        split_frames(["subject a", "subject b"], share=1.0)


def test_a_subject_or_a_video_on_both_sides_is_refused():
    groups = ["subject a", "subject a", "subject b", "video 3"]
    videos = ["video 1", "video 2", "video 3", "video 3"]
    with pytest.raises(DatasetError, match="On both sides of the split: subject a"):
        check_split([0, 2], [1], groups, videos)
    with pytest.raises(DatasetError, match="On both sides of the split: video 3"):
        check_split([0, 2], [3], groups, videos)
    allowed = check_split([0, 2], [1, 3], groups, videos, allow_shared_subjects=True)
    assert allowed.shared == ("subject a", "video 3")
    assert check_split([0, 1], [2], groups, videos).shared == ()
    with pytest.raises(DatasetError, match="validation side"):
        check_split([0], [], groups, videos)


def test_groups_are_subjects_else_videos(dataset_name, tmp_path):
    import fiftyone as fo

    stills = fo.Dataset(dataset_name)
    stills.add_sample_field("video", fo.StringField)
    stills.add_sample_field("subject", fo.StringField)
    stills.add_samples(
        [
            fo.Sample(str(tmp_path / "walk_00001.jpg")),
            fo.Sample(str(tmp_path / "walk_00002.jpg"), subject="P1"),
            fo.Sample(str(tmp_path / "run_00002.jpg"), video="film"),
            fo.Sample(str(tmp_path / "run_00003.jpg"), video="film", subject="P1"),
            fo.Sample(str(tmp_path / "portrait.jpg")),
        ]
    )
    groups, videos = sample_groups(stills)
    folder = tmp_path.name
    assert videos == [
        f"video {folder}/walk",
        f"video {folder}/walk",
        "video film",
        "video film",
        f"video {folder}/portrait",
    ]
    # Other stills of the film and of the walk say whom they show.
    assert groups == [*["subject P1"] * 4, videos[4]]

    films = fo.Dataset(f"{dataset_name}-films")
    films.add_samples([fo.Sample("a.mp4"), fo.Sample("b.mp4", subject="P2")])
    groups, videos = sample_groups(films)
    assert groups == [videos[0], "subject P2"]
    assert len(set(videos)) == 2


@pytest.mark.parametrize("name", ["frame000123", "img0001", "0001", "walk-1", "walk 07", "a_2"])
def test_stills_of_one_take_are_one_video_however_they_are_numbered(dataset_name, tmp_path, name):
    import fiftyone as fo

    digits = name[len(name.rstrip("0123456789")) :]
    names = [name.removesuffix(digits) + str(i).zfill(len(digits)) for i in range(1, 6)]
    stills = fo.Dataset(dataset_name)
    stills.add_samples([fo.Sample(str(tmp_path / f"{n}.jpg")) for n in names])
    stills.add_sample(fo.Sample(str(tmp_path / "another" / f"{name}.jpg")))
    _, videos = sample_groups(stills)
    assert len(set(videos[:5])) == 1
    assert videos[5] != videos[0]


def test_videos_are_known_by_their_files_unless_two_are_alike(dataset_name, tmp_path):
    import fiftyone as fo

    made = []
    for end in "ab":
        films = fo.Dataset(f"{dataset_name}-{end}", media_type="video")
        paths = ["1/walk.mp4", "2/walk.mp4", "2/run.mp4", "x/2/run.mp4"]
        films.add_samples([fo.Sample(str(tmp_path / path)) for path in paths])
        made.append(sample_groups(films)[1])
        assert len(set(made[-1])) == 4
        # A view knows of the sample that it leaves out.
        assert sample_groups(films.skip(3))[1] == made[-1][3:]
    assert made[0][:2] == made[1][:2]
    assert not set(made[0][2:]) & set(made[1])


def test_where_all_were_trained_on_by_others_the_share_is_still_met():
    groups = [f"subject {i}" for i in range(20) for _ in range(5 + i)]
    fixed = dict.fromkeys(groups, "train")
    split = split_frames(groups, fixed=fixed)
    assert abs(len(split.val) - 0.2 * len(groups)) < 12


def still(folder, path, **values):
    import fiftyone as fo

    return fo.Sample(str(folder / path), **values)


@pytest.fixture
def stills(dataset_name):
    import fiftyone as fo

    made = fo.Dataset(dataset_name, media_type="image")
    for field in ("subject", "video"):
        made.add_sample_field(field, fo.StringField)
    return made


def test_a_video_of_two_subjects_is_not_parted(stills, tmp_path):
    stills.add_samples(
        [
            still(tmp_path, f"{subject}{i}.jpg", subject=subject, video="together")
            for subject in ("P1", "P2")
            for i in range(4)
        ]
        + [still(tmp_path, "P3_1.jpg", subject="P3")]
    )
    groups, _ = sample_groups(stills)
    assert groups == ["subject P1 and subject P2"] * 8 + ["subject P3"]
    # A view of one of them knows of the other.
    assert sample_groups(stills.limit(2))[0] == groups[:2]


def test_namesakes_in_folders_of_their_own_are_told_apart(stills, tmp_path):
    """As `extract_frames` leaves them: each patient's video is called walk."""
    stills.add_samples(
        [
            still(tmp_path, f"{subject}/walk_{i:06d}.jpg", subject=subject, video="walk")
            for subject in ("P1", "P2")
            for i in range(3)
        ]
    )
    groups, videos = sample_groups(stills)
    assert groups == ["subject P1"] * 3 + ["subject P2"] * 3
    assert len(set(videos)) == 2


def test_numbered_stills_of_known_subjects_are_no_take(stills, tmp_path):
    stills.add_samples(
        [still(tmp_path, f"IMG_{i:04d}.jpg", subject=f"P{i % 3}") for i in range(6)]
        + [still(tmp_path, "IMG_0007.jpg")]
    )
    groups, videos = sample_groups(stills)
    assert groups[:6] == [f"subject P{i % 3}" for i in range(6)]
    assert groups[6] == videos[6] == f"video {tmp_path.name}/IMG"
