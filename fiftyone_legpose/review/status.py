"""status: where each push stands, frame by frame."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Unpack

import fiftyone as fo

from cvat_bridge.errors import ConflictError, NotFoundError
from cvat_bridge.server import Job
from fiftyone_legpose.cvat.login import Account, Login, find_login
from fiftyone_legpose.cvat.results import CvatSkeletonResults, load_results
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.dataset.by_name import takes_name
from fiftyone_legpose.dataset.checks import check_collection
from fiftyone_legpose.dataset.frames import frame_ids
from fiftyone_legpose.review.runs import known_key, review_keys

ELSEWHERE = "elsewhere"
"""State, in a run, of a frame that went out again in a later run."""

MISSING = "missing"
"""State, in a run, of a frame that is not in the dataset any more."""

DELETED = "deleted"
"""State, in a run, of a frame that somebody deleted in CVAT; it can be restored there."""

_SETTLED = (fields.CORRECTED, fields.EMPTY, ELSEWHERE, MISSING)


@dataclass(frozen=True)
class RunStatus:
    """Where one push stands."""

    key: str
    begun: bool
    """The push was interrupted: push again with this key to complete it."""
    frames: int
    by_state: Mapping[str, int]
    """Frames by what is next for them: ``unsent``, ``new``, ``in progress``, ``rejected``,
    ``completed`` (pull them), ``corrected``, ``empty``, ``out`` (in a file, or a task that is
    gone), ``deleted`` (in CVAT), ``elsewhere`` (went out again in another run), ``missing``
    (deleted from the dataset)."""
    jobs: list[Job] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    """Address of each task."""
    gone: list[str] = field(default_factory=list)
    """Tasks that are not there any more."""
    file: bool = False
    """It went out as a file, so nobody but the reviewer knows how far it is."""

    @property
    def to_pull(self) -> int:
        """Frames that are completed in CVAT and not pulled yet."""
        return self.by_state.get("completed", 0)

    @property
    def done(self) -> bool:
        """Whether every frame came back that can."""
        settled = (*_SETTLED, DELETED)
        return sum(self.by_state.get(state, 0) for state in settled) == self.frames


@takes_name("dataset")
def status(
    dataset: fo.Dataset,
    key: str | None = None,
    *,
    login: Login | None = None,
    **account: Unpack[Account],
) -> list[RunStatus]:
    """Tell where pushes stand: frames by state, jobs and links.

    Runs that are done are told from the dataset alone, without asking the server.

    Parameters
    ----------
    dataset
        Image or video dataset.
    key
        Of one push; None tells of all.
    login, **account
        As for `push`.

    Returns
    -------
    list of RunStatus
        By key; empty where nothing was ever pushed.
    """
    check_collection(dataset)
    keys = review_keys(dataset) if key is None else [known_key(dataset, key)]
    login = find_login(login, **account)
    return [run_status(dataset, one, login) for one in keys]


def count_selected(dataset: fo.Dataset) -> int:
    """Count the frames that are selected and were not pushed yet."""
    return len(frame_review.read(dataset).ids(fields.SELECTED))


def run_status(dataset: fo.Dataset, key: str, login: Login) -> RunStatus:
    """Tell where a push stands; the server is asked only if frames are out."""
    results = load_results(dataset, key)
    if results is None:
        frames = len(frame_ids(dataset.load_annotation_view(key)))
        return RunStatus(key, True, frames, {"unsent": frames})
    states = _states(dataset, results)
    status = RunStatus(
        key,
        begun=not results.run.complete,
        frames=len(states),
        by_state=Counter(states),
        links=[task.url for task in results.run.tasks],
        file=results.run.file,
    )
    if status.done or not results.run.tasks:
        return status
    with login.connect(results.run.url, results.run.organization) as server:
        for task in results.run.tasks:
            try:
                names, deleted = server.frames(task.id)
                results.run.check_frames(task, names)
            except (NotFoundError, ConflictError):
                status.gone.append(task.url)
                continue
            jobs = server.jobs(task.id)
            status.jobs.extend(jobs)
            # A frame that several jobs cover is where its most unfinished job is.
            for job in sorted(jobs, key=lambda job: job.finished, reverse=True):
                for frame in job.frames:
                    at = task.first + frame
                    if states[at] not in _SETTLED:
                        states[at] = DELETED if frame in deleted else job.state
    return replace(status, by_state=Counter(states))


def _states(dataset: fo.Dataset, results: CvatSkeletonResults) -> list[str]:
    """Tell, for each frame of a run, what the dataset knows of it."""
    reviews = frame_review.read(dataset)
    known = dict(zip(reviews.frame_ids, zip(reviews.state, reviews.key, strict=True), strict=True))
    sent = results.run.sent if results.run.tasks else None
    states = []
    for position, frame_id in enumerate(results.run.frames.ids):
        state, key = known.get(frame_id, (MISSING, None))
        if state == MISSING:
            states.append(MISSING)
        elif key in (None, results.key) and state in (fields.OUT, fields.CORRECTED, fields.EMPTY):
            states.append(state)  # without a key where the labels were imported since
        elif key not in (None, results.key):
            states.append(ELSEWHERE)
        else:
            states.append("unsent" if sent is None or position >= sent else fields.OUT)
    return states
