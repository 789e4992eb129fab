"""Frames of a review that cannot come back: deleted in CVAT, missing in a file, or task gone."""

from collections.abc import Collection

import fiftyone as fo

from cvat_bridge.errors import ConflictError, NotFoundError
from cvat_bridge.server import Server
from fiftyone_legpose.cvat.login import Login, find_login
from fiftyone_legpose.cvat.results import CvatSkeletonResults, load_results
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.dataset.writing_lock import waits_its_turn
from fiftyone_legpose.review.pull_summary import PullSummary

_FREE = "to be selected again"
_LATER = f"{_FREE} when the rest of the round is back"


@waits_its_turn("dataset")
def release_lost(
    dataset: fo.Dataset, key: str, summary: PullSummary, login: Login | None = None
) -> list[str]:
    """Let frames that cannot come back wait for a reviewer again, and say which those are.

    They stay out as long as others of the run may come back: until then a frame that was deleted
    in CVAT can be restored there.

    Parameters
    ----------
    dataset
        Image or video dataset.
    key
        Of the push.
    summary
        Of the pull that was made just before.
    login
        As for `push`.

    Returns
    -------
    list of str
        A sentence for each task or file; empty where nothing is lost.

    Raises
    ------
    ServerError
        If the server cannot be asked what became of a task.
    """
    results = load_results(dataset, key)
    out = _out(dataset, key)
    if results is None or not out:
        return []
    if summary.file is not None:
        frame_review.mark(dataset, out, state=fields.SELECTED)
        return [
            f"{len(out)} frames of {key} are not in {summary.file}: they were deleted in CVAT and "
            f"are {_FREE}."
        ]
    if not summary.gone and not summary.deleted_frames:
        return []
    with find_login(login).connect(results.run.url, results.run.organization) as server:
        lost, causes, kept = _lost(results, server, set(out))
    fate = _LATER
    if lost == set(out):
        frame_review.mark(dataset, out, state=fields.SELECTED)
        fate = _FREE
    return [f"{cause} {fate}." for cause in causes] + kept


def _out(dataset: fo.Dataset, key: str) -> list[str]:
    reviews = frame_review.read(dataset)
    rows = zip(reviews.frame_ids, reviews.state, reviews.key, strict=True)
    return [frame_id for frame_id, state, of in rows if state == fields.OUT and of == key]


def _lost(
    results: CvatSkeletonResults, server: Server, out: Collection[str]
) -> tuple[set[str], list[str], list[str]]:
    """Find the frames that are lost, the causes in words, and what is missing but not given up."""
    lost: set[str] = set()
    causes, kept = [], []
    for number, task in enumerate(results.run.tasks, 1):
        positions = task.positions
        ids = results.run.frames.ids[positions.start : positions.stop]
        waiting = {frame_id for frame_id in ids if frame_id in out}
        if not waiting:
            continue
        try:
            _, deleted = server.frames(task.id)
        except NotFoundError:
            told = f"{task.url} is gone: its {len(waiting)} frames of {results.key}"
            reason = _reason_to_wait(results, server, f"{results.run.task_name}-{number}")
            if reason is None:
                causes.append(f"{told} are")
                lost |= waiting
            else:
                kept.append(f"{told} stay out, because {reason}")
            continue
        if missing := {ids[frame] for frame in deleted} & waiting:
            causes.append(f"{len(missing)} frames of {task.url} were deleted in CVAT and are")
            lost |= missing
    return lost, causes, kept


def _reason_to_wait(results: CvatSkeletonResults, server: Server, name: str) -> str | None:
    """Say why a task that is not found may still be somewhere, or None."""
    if server.url != results.run.url:
        return (
            f"they went to {results.run.url} and this is {server.url}. Set FIFTYONE_CVAT_URL to "
            "the server that has the task."
        )
    try:
        other = server.find_task(name)
    except ConflictError:
        return f"there are other tasks named {name!r}. Delete all but one."
    if other is not None:
        return f"{other.url} has its name. Pull what CVAT exports of that one, or delete it."
    return None
