"""How the server takes and shows annotations: what it refuses, drops, keeps and is destroyed by.

Shapes belong to jobs, and where jobs overlap each has its own. A task shows them all, because CVAT
never takes two skeletons for one (https://github.com/cvat-ai/cvat/issues/5634). Tracks are whole,
and shown by every job; a real server cuts them at the ends of jobs. As there, what a track's part
has before it is first inside is dropped (AnnotationIR._slice_track, read and not recorded).
"""

from collections.abc import Callable, Iterable
from itertools import dropwhile
from typing import Any

from tests.cvat_server.state import Job, Refusal, State, Task, now, server_error

SHAPE_TYPES = (
    "rectangle",
    "polygon",
    "polyline",
    "points",
    "ellipse",
    "cuboid",
    "mask",
    "skeleton",
)
_FLAGS = {"occluded": False, "outside": False, "z_order": 0, "rotation": 0.0}


def read(task: Task, job: Job | None = None) -> dict[str, Any]:
    """GET annotations, of a whole task or of a job."""
    if task.poisoned or task.unreadable:
        raise server_error()
    return {
        "version": 0,
        "tags": task.tags,
        "shapes": [
            _shown(shape) for shape in task.shapes if job is None or shape["job_id"] == job.id
        ],
        "tracks": [_shown_track(track) for track in task.tracks],
    }


def replace(state: State, task: Task, payload: dict[str, Any]) -> dict[str, Any]:
    """PUT annotations: all or nothing."""
    return begin_replacing(state, task, payload)()


def begin_replacing(
    state: State, task: Task, payload: dict[str, Any]
) -> Callable[[], dict[str, Any]]:
    """Begin a PUT and return what commits it.

    The server locks no task: it deletes what it sees at first and inserts what was sent, so what
    another PUT commits in between stays.
    """
    if not task.frames or task.poisoned:
        raise server_error()
    check(state, task, payload, with_ids=False)
    seen = {id(item): item for item in (*task.shapes, *task.tracks)}

    def commit() -> dict[str, Any]:
        task.shapes = [shape for shape in task.shapes if id(shape) not in seen]
        task.tracks = [track for track in task.tracks if id(track) not in seen]
        task.unreadable = False
        return add(state, task, payload)

    return commit


def patch(state: State, task: Task, action: str | None, payload: dict[str, Any]) -> dict[str, Any]:
    """PATCH annotations: create, update or delete."""
    if action not in ("create", "update", "delete"):
        raise Refusal(400, ["Please specify a correct 'action' for the request"])
    check(state, task, payload, with_ids=action != "create")
    if action == "create":
        return add(state, task, payload)
    ids = {shape["id"] for shape in payload.get("shapes", [])}
    known = {shape["id"]: shape["job_id"] for shape in task.shapes}
    task.shapes = [shape for shape in task.shapes if shape["id"] not in ids]
    if action == "update":
        for shape in payload.get("shapes", []):
            if shape["id"] in known:
                task.shapes.append(_stored(shape) | {"job_id": known[shape["id"]]})
        task.shapes.sort(key=lambda shape: shape["id"])
    task.updated = now()
    return _answer(
        [_echo(_stored(shape)) for shape in payload.get("shapes", [])],
        payload.get("tracks", []),
    )


def clear(task: Task) -> None:
    """DELETE annotations."""
    if task.poisoned:
        raise server_error()
    task.shapes, task.tracks, task.tags = [], [], []


def add(
    state: State, task: Task, payload: dict[str, Any], job: Job | None = None
) -> dict[str, Any]:
    """Store new shapes and tracks, by default in every job that has their frame.

    Ids count skeletons first, then their elements.
    """
    # A frame that the task does not have is dropped without a word.
    inside = range(task.size)
    shapes = [
        _stored(shape) | {"job_id": owner.id}
        for shape in payload.get("shapes") or ()
        for owner in ([job] if job else task.jobs)
        if owner.start <= shape["frame"] <= owner.stop
    ]
    tracks = [_stored_track(t) for t in payload.get("tracks") or () if t["frame"] in inside]
    for shape in shapes:
        shape["id"] = state.new_id("shape")
    for shape in shapes:
        for element in shape["elements"]:
            element["id"] = state.new_id("shape")
            if element["frame"] != shape["frame"]:
                task.poisoned = True
    for track in tracks:
        for part in (track, *track["elements"]):
            part["id"] = state.new_id("track")
            for shape in part["shapes"]:
                shape["id"] = state.new_id("tracked")
    task.shapes += shapes
    task.tracks += tracks
    task.updated = now()
    return _answer([_echo(shape) for shape in shapes], [_echo_track(track) for track in tracks])


def check(state: State, task: Task, payload: dict[str, Any], *, with_ids: bool) -> None:
    """Refuse what the server refuses with 400; everything else passes."""
    shapes = payload.get("shapes") or ()
    told = [_problem(shape, with_ids) for shape in shapes]
    if any(told):
        raise Refusal(400, {"shapes": told})
    labels = state.labels_of(task)
    known = {label.id for label in labels} | {s.id for label in labels for s in label.sublabels}
    for item in _everything(payload):
        if item["label_id"] not in known:
            raise Refusal(400, [f"label_id `{item['label_id']}` is invalid"])
        for attribute in item.get("attributes") or ():
            raise Refusal(400, [f"spec_id `{attribute['spec_id']}` is invalid"])


def _problem(shape: dict[str, Any], with_ids: bool) -> dict[str, Any]:
    kind = shape.get("type")
    if kind not in SHAPE_TYPES:
        return {"type": [f'"{kind}" is not a valid choice.']}
    if not with_ids and shape.get("id") is not None:
        return {"id": ["must be absent"]}
    if with_ids and shape.get("id") is None:
        return {"id": ["must be present and not null"]}
    points = shape.get("points") or []
    wrong = {
        str(index): "[ErrorDetail(string='Value must be a float or an integer', code='invalid')]"
        for index, value in enumerate(points)
        if not isinstance(value, int | float) or isinstance(value, bool)
    }
    if wrong:
        return {"points": wrong}
    if kind == "skeleton":
        if points:
            return {"points": ["invalid length for shape type 'skeleton'"]}
        if not shape.get("elements"):
            return {"elements": ["at least one required for skeleton shape"]}
        told = [_problem(element, with_ids) for element in shape["elements"]]
        return {"elements": told} if any(told) else {}
    if kind == "points" and (not points or len(points) % 2):
        return {"points": ["invalid length for shape type 'points'"]}
    return {}


def _everything(payload: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for item in [*(payload.get("shapes") or ()), *(payload.get("tracks") or ())]:
        yield item
        yield from item.get("elements") or ()


def _stored(shape: dict[str, Any]) -> dict[str, Any]:
    """The fields that this server knows; others, such as a score, vanish."""
    return {
        **({"id": shape["id"]} if shape.get("id") is not None else {}),
        "label_id": shape["label_id"],
        "type": shape["type"],
        "frame": shape["frame"],
        "group": shape.get("group", 0),
        "source": shape.get("source", "manual"),
        **{key: shape.get(key, default) for key, default in _FLAGS.items()},
        "points": [float(value) for value in shape.get("points") or ()],
        "attributes": [],
        "elements": [_stored(element) for element in shape.get("elements") or ()],
    }


def _stored_track(track: dict[str, Any]) -> dict[str, Any]:
    return {
        "label_id": track["label_id"],
        "frame": track["frame"],
        "group": track.get("group", 0),
        "source": track.get("source", "manual"),
        "shapes": [
            {
                "type": shape["type"],
                "frame": shape["frame"],
                **{key: shape.get(key, default) for key, default in _FLAGS.items()},
                "points": [float(value) for value in shape.get("points") or ()],
                "attributes": [],
            }
            for shape in dropwhile(lambda shape: shape.get("outside"), track["shapes"])
        ],
        "attributes": [],
        "elements": [_stored_track(element) for element in track.get("elements") or ()],
    }


def _answer(shapes: list[Any], tracks: list[Any]) -> dict[str, Any]:
    return {"version": 0, "tags": [], "shapes": shapes, "tracks": tracks}


def _echo(shape: dict[str, Any]) -> dict[str, Any]:
    """What a PUT or PATCH answers: this server's own fields have values."""
    own = {"description": "", "needs_review": False}
    return _told(shape | own | {"elements": [_echo(e) for e in shape["elements"]]})


def _shown(shape: dict[str, Any]) -> dict[str, Any]:
    """What a GET answers: elements in an order of the server's own."""
    own = {"view_id": None, "description": None, "needs_review": None}
    elements = shape["elements"]
    turned = elements[len(elements) // 2 :] + elements[: len(elements) // 2]
    return _told(shape | own | {"elements": [_shown(e) for e in turned]})


def _echo_track(track: dict[str, Any]) -> dict[str, Any]:
    return _told(track | {"elements": [_echo_track(e) for e in track["elements"]]})


def _shown_track(track: dict[str, Any]) -> dict[str, Any]:
    elements = [_shown_track(element) for element in track["elements"]]
    return _told(track | {"view_id": None, "elements": elements})


def _told(item: dict[str, Any]) -> dict[str, Any]:
    hidden = {"job_id"} if item["elements"] else {"job_id", "elements"}
    return {key: value for key, value in item.items() if key not in hidden}
