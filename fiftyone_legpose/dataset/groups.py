"""Which subject and which video a sample belongs to."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fiftyone_legpose.dataset.fields import SOURCE, SUBJECT, VIDEO
from fiftyone_legpose.dataset.frames import is_cut_out, sample_values, source_dataset

_NUMBERED = re.compile(r"(.*?)[ _.-]?\d+")


def sample_groups(view: Any) -> tuple[list[str], list[str]]:
    """Tell which subject and which video each sample of a collection belongs to.

    Parameters
    ----------
    view
        Image or video collection.

    Returns
    -------
    groups, videos : list of str
        A sample's group is its subject, else its video; groups that have a video in common are
        one. The video of a still is what its field ``video`` says, else its folder and file name
        without the number at the end, unless that is the name of several subjects' stills.
    """
    # Of all samples: a view may leave out the ones by which a subject is known.
    whole = view if is_cut_out(view) else source_dataset(view)
    subjects = [f"subject {name}" if name else None for name in _values(whole, SUBJECT)]
    videos = _video_names(whole) if whole.media_type == "video" else _takes(whole, subjects)
    groups = [subject or video for subject, video in zip(subjects, videos, strict=True)]
    place = {sample_id: i for i, sample_id in enumerate(whole.values("id"))}
    chosen = [place[sample_id] for sample_id in sample_values(view, "id")[0]]
    joined = _joined(groups, videos)
    return [joined[i] for i in chosen], [videos[i] for i in chosen]


def _joined(groups: Sequence[str], videos: Sequence[str]) -> list[str]:
    """Give groups that have a video in common one name: they cannot be parted."""
    names, number = np.unique(np.array([*groups, *videos], object), return_inverse=True)
    pairs = number.reshape(2, -1)
    links = coo_array((np.ones(len(groups)), tuple(pairs)), shape=(len(names),) * 2)
    _, part = connected_components(links, directed=False)
    members: dict[int, set[str]] = defaultdict(set)
    for group, place in zip(groups, pairs[0], strict=True):
        members[part[place]].add(group)
    titles = {
        key: " and ".join(sorted(g for g in of if g.startswith("subject ")) or sorted(of))
        for key, of in members.items()
    }
    return [titles[part[place]] for place in pairs[0]]


def _takes(stills: Any, subjects: Sequence[str | None]) -> list[str]:
    """Name the video of each still."""
    taken = [_base(Path(path)) for path in stills.values("filepath")]
    known = defaultdict(set)
    for take, subject in zip(taken, subjects, strict=True):
        known[take].add(subject)
    names = []
    for said, take, subject in zip(_values(stills, VIDEO), taken, subjects, strict=True):
        # Extracted stills bear their video's name, which may be that of many, one a folder.
        if said and take.rpartition("/")[2] != said:
            names.append(f"video {said}")
        elif not said and subject and len(known[take] - {None}) > 1:
            names.append(subject)
        else:
            names.append(f"video {take}")
    return names


def _video_names(videos: Any) -> list[str]:
    """Name videos by their files, so that a dataset made anew is split as before."""
    sources, paths = _values(videos, SOURCE), videos.values("filepath")
    files = [Path(source or path) for source, path in zip(sources, paths, strict=True)]
    names = [f"video {file.parent.name}/{file.stem}" for file in files]
    count = Counter(names)
    return [
        name if count[name] == 1 else f"{name} {sample_id}"
        for name, sample_id in zip(names, videos.values("id"), strict=True)
    ]


def _values(collection: Any, field: str) -> list[Any]:
    there = collection.has_sample_field(field)
    return collection.values(field) if there else [None] * len(collection)


def _base(path: Path) -> str:
    numbered = _NUMBERED.fullmatch(path.stem)
    return f"{path.parent.name}/{numbered[1] if numbered else path.stem}".rstrip("/")
