"""Which pushes a dataset has, and which of them are open."""

import fiftyone as fo

from cvat_bridge.errors import ConflictError, NotFoundError
from fiftyone_legpose.cvat.announce import BACKEND
from fiftyone_legpose.cvat.login import Login
from fiftyone_legpose.cvat.results import is_begun, load_results
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.dataset.frames import frame_ids, raw
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.review.backend import ReviewBackendConfig


def count_missing(dataset: fo.Dataset, key: str) -> int:
    """Count the frames of a push that are not in the dataset any more."""
    results = load_results(dataset, key)
    sent = set(results.run.frames.ids) if results else set()
    return len(sent.difference(frame_ids(dataset)))


def review_keys(dataset: fo.Dataset) -> list[str]:
    """List the keys of all pushes of a dataset."""
    runs = dataset.list_annotation_runs(method=BACKEND)
    configs = {key: dataset.get_annotation_info(key).config for key in runs}
    return [key for key, config in configs.items() if isinstance(config, ReviewBackendConfig)]


def open_first(dataset: fo.Dataset) -> list[str]:
    """List the keys of all pushes, those that are out before the others, the newest first."""
    out = raw(dataset).distinct(f"{fields.REVIEW}.key", {f"{fields.REVIEW}.state": fields.OUT})
    pushed_at = {key: dataset.get_annotation_info(key).timestamp for key in review_keys(dataset)}
    return sorted(pushed_at, key=lambda key: (key in out, pushed_at[key]), reverse=True)


def begun_keys(dataset: fo.Dataset) -> list[str]:
    """List the keys of the pushes that were interrupted before all of their frames were sent."""
    return [key for key in review_keys(dataset) if is_begun(dataset, key)]


def gone_tasks(dataset: fo.Dataset, key: str, login: Login) -> list[str]:
    """List the addresses of a push's tasks that were deleted in CVAT, if a server can be asked.

    Raises
    ------
    CvatError
        The server cannot be reached or refuses.
    """
    results = load_results(dataset, key)
    if results is None or not (results.run.tasks and login.url):
        return []
    gone = []
    with login.connect(results.run.url, results.run.organization) as server:
        for task in results.run.tasks:
            try:
                results.run.check_frames(task, server.frames(task.id)[0])
            except (NotFoundError, ConflictError):
                gone.append(task.url)
    return gone


def known_key(dataset: fo.Dataset, key: str) -> str:
    """Refuse a key that no push of the dataset has.

    Raises
    ------
    DatasetError
    """
    keys = review_keys(dataset)
    if key not in keys:
        known = ", ".join(keys) or "none"
        raise DatasetError(f"Dataset {dataset.name!r} has no push {key!r}; it has: {known}.")
    return key


def only_open_key(dataset: fo.Dataset) -> str:
    """Give the key of the only push that is out.

    Raises
    ------
    DatasetError
        None is out, or several are.
    """
    reviews = frame_review.read(dataset)
    pairs = zip(reviews.state, reviews.key, strict=True)
    out = sorted({key for state, key in pairs if state == fields.OUT and key})
    if len(out) == 1:
        return out[0]
    told = f"{len(out)} pushes are out ({', '.join(out)})" if out else "no push is out"
    raise DatasetError(f"Of dataset {dataset.name!r} {told}: name the one to pull.")
