"""Poses into a task: sent in one request, and again only when no sending is still being stored.

CVAT locks no task while it stores: it deletes what it sees and inserts what was sent, in one
transaction that sees what others have committed, and its compose file runs two server processes. A
request that is repeated while another process still stores the first one doubles every person, and
a connection that breaks says nothing about the work behind it.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import dropwhile
from operator import itemgetter
from typing import Any

from cvat_bridge.answers import OverloadedError
from cvat_bridge.errors import (
    AddressError,
    ConflictError,
    CvatError,
    NotFoundError,
    ServerError,
    TlsError,
)
from cvat_bridge.reading import read_annotations, read_jobs, read_update
from cvat_bridge.shapes import from_annotations
from cvat_bridge.skeleton import SkeletonLabel
from cvat_bridge.tasks import Task
from cvat_bridge.transport import POLL_GROWTH, POLL_LONGEST_S, Transport

Progress = Callable[[str, int, int], None]
"""Called as progress(step, done, total); steps are ``"upload"``, ``"wait"``, ``"annotate"``."""

Annotations = dict[str, list[dict[str, Any]]]


def annotate(
    transport: Transport,
    task: Task,
    label: SkeletonLabel,
    annotations: Annotations,
    frame_count: int,
    progress: Progress,
    *,
    is_new: bool,
) -> None:
    """Send the poses of a task, and return when it holds them, each once.

    Parameters
    ----------
    transport
        The conversation; its `patience` says how often to send, and for how long a task must not
        change before nothing is taken to be on its way into it.
    task
        Holds nothing that a person has made.
    label
        Of the poses.
    annotations
        Checked shapes and tracks.
    frame_count
        Frames of the task.
    progress
        Called as work proceeds.
    is_new
        Nobody has sent poses to this task before, so none can be on their way.

    Raises
    ------
    ConflictError
        The server stored something else. A new task whose only sending was answered is deleted.
    ServerError
        The connection broke, or the server was overloaded, each time.
    """
    count = sum(len(items) for items in annotations.values())
    progress("annotate", 0, count)
    is_stored = partial(_is_stored, transport, task, label, annotations, frame_count)
    still_s, may_come, error = transport.patience.settle_s, not is_new, None
    for sendings in range(transport.patience.retries + 1):
        if may_come:
            # The only sending there ever was has arrived for good as soon as it is seen.
            _settle(transport, task, still_s, is_stored if is_new and sendings == 1 else None)
            if is_stored():
                break
            still_s *= 2
        started = time.monotonic()
        error = _send(transport, task, annotations)
        if error is not None:
            # A server that was slow enough to be given up may need as long again.
            still_s, may_come = max(still_s, time.monotonic() - started), True
        if not may_come:
            break
    else:
        _settle(transport, task, still_s, is_stored if is_new and sendings == 0 else None)
    # A job that is no longer new has a person's first save in it, which is not ours to judge.
    if not is_stored() and all(job.state == "new" for job in read_jobs(transport, task.id)):
        if error is not None:
            raise error
        told = f"The server stored other poses in task {task.id} than were sent"
        if not may_come:
            delete_quietly(transport, task)
            told += ", so the task was deleted"
        raise ConflictError(f"{told}; look into the server's log, then push again.")
    progress("annotate", count, count)


def _send(transport: Transport, task: Task, annotations: Annotations) -> ServerError | None:
    """Send the poses once; the error if nobody can know whether they will be stored."""
    try:
        # One PUT replaces all annotations at once, so there is never half of them; and 1,000
        # skeletons in one request take a third of the time of ten requests of 100.
        transport.request(
            "PUT",
            f"/api/tasks/{task.id}/annotations/",
            doing=f"Sending the poses of task {task.id}",
            body={"version": 0, "tags": [], **annotations},
        )
    except TlsError:
        raise
    except (AddressError, OverloadedError) as error:
        return error
    return None


def _settle(
    transport: Transport, task: Task, still_s: float, arrived: Callable[[], bool] | None
) -> None:
    """Wait until a task has not changed for so long, or until what was sent has `arrived`."""
    patience = transport.patience
    pause, updated = patience.poll_s, read_update(transport, task.id)
    began = since = time.monotonic()
    while time.monotonic() - since < still_s and not (arrived and arrived()):
        time.sleep(pause)
        pause = min(pause * POLL_GROWTH, POLL_LONGEST_S)
        before, updated = updated, read_update(transport, task.id)
        if updated != before and time.monotonic() - began < patience.wait_s:
            since = time.monotonic()


def _is_stored(
    transport: Transport,
    task: Task,
    label: SkeletonLabel,
    annotations: Annotations,
    frame_count: int,
) -> bool:
    return same_poses(read_annotations(transport, task.id), annotations, label, frame_count)


def same_poses(
    stored: Mapping[str, Any], sent: Annotations, label: SkeletonLabel, frame_count: int
) -> bool:
    """Tell whether the server's annotations are those that were sent, ids and order aside."""
    for kind in ("shapes", "tracks", "tags"):
        if len(stored.get(kind) or ()) != len(sent.get(kind, ())):
            return False
    return _counted(stored, label, frame_count) == _counted(sent, label, frame_count)


def are_repeated(
    stored: Mapping[str, Any], sent: Annotations, label: SkeletonLabel, frame_count: int
) -> bool:
    """Tell whether the server's annotations are those that were sent, some more than once."""
    theirs, ours = (_counted(each, label, frame_count) for each in (stored, sent))
    return not stored.get("tags") and ours.keys() == theirs.keys() and ours <= theirs


def _counted(
    annotations: Mapping[str, Any], label: SkeletonLabel, frame_count: int
) -> Counter[tuple[int, bytes, bytes]]:
    trimmed = [_trimmed(track) for track in annotations.get("tracks") or ()]
    poses = from_annotations({**annotations, "tracks": trimmed}, label, frame_count=frame_count)
    # The API keeps full float precision, so what was sent comes back to the last bit; + 0.0
    # makes -0.0 the zero that it equals.
    return Counter(
        (frame, pose.visibility.tobytes(), (pose.points + 0.0).tobytes())
        for frame, found in poses.items()
        for pose in found
    )


def _trimmed(track: Mapping[str, Any]) -> dict[str, Any]:
    """Return a track without the places that its points have before they are first inside.

    CVAT stores none of these (AnnotationIR._slice_track).
    """
    elements = []
    for element in track.get("elements") or ():
        by_frame = sorted(element["shapes"], key=itemgetter("frame"))
        elements.append(element | {"shapes": list(dropwhile(itemgetter("outside"), by_frame))})
    return {**track, "elements": elements}


def delete_quietly(transport: Transport, task: Task) -> None:
    """Delete a task that cannot be completed, whatever else has gone wrong."""
    with suppress(CvatError):
        delete_task(transport, task.id)


def delete_task(transport: Transport, task_id: int) -> None:
    """Delete a task; one that is gone is no error."""
    with suppress(NotFoundError):
        transport.request("DELETE", f"/api/tasks/{int(task_id)}", doing=f"Deleting task {task_id}")
