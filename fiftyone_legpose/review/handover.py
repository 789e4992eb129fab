"""A push as a file that a person carries to CVAT."""

from pathlib import Path

import fiftyone as fo

from cvat_bridge.backup import write_backup
from cvat_bridge.backup_reading import read_task_name
from cvat_bridge.errors import FormatError
from fiftyone_legpose.cvat.results import load_results
from fiftyone_legpose.cvat.stills import log_push, open_stills
from fiftyone_legpose.dataset.frames import dataset_id
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.files import file_sha256, writing
from fiftyone_legpose.progress import Report
from fiftyone_legpose.review.guide import guide_for


def send_file(dataset: fo.Dataset, key: str, path: Path, report: Report) -> None:
    """Write a registered push as a task backup.

    The same push gives the same file again, without frames that were deleted from the dataset.
    """
    backend = dataset.get_annotation_info(key).config.build()
    results, outgoing = backend.prepare(dataset.load_annotation_view(key), key)
    known = load_results(dataset, key)
    if known is not None and known.run.tasks:
        raise DatasetError(
            f"Push {key!r} went to {known.run.url}, so it cannot go out as a file too: choose "
            "another key and say so (again)."
        )
    task_name = f"{results.run.task_name}-1"
    if path.is_file() and not _holds_task(path, task_name):
        raise DatasetError(
            f"{path} is there already and not of push {key!r} of dataset {dataset.name!r}: give "
            "another file or folder, or move that one away first."
        )
    total = len(outgoing.frame_ids)
    stills = open_stills(results, outgoing)
    stills.check(report)
    report(0, total, "writing")
    try:
        frames = outgoing.to_frames(stills.read)
        with writing(path):
            write_backup(
                path,
                task_name,
                results.run.skeleton,
                frames,
                segment_size=backend.config.segment_size or 0,
                image_quality=backend.config.image_quality,
                as_tracks=backend.config.as_tracks,
                guide=guide_for(frames, results.run.skeleton.keypoints),
            )
    except FormatError as error:
        raise DatasetError(str(error)) from None
    report(total, total, "written")
    written = file_sha256(path)
    if known is None or not known.run.complete:
        results.run.file = results.run.complete = True
        results.run.file_sha256 = [written]
        log_push(results, stills, path)
        backend.on_sent(results, range(total))
        results.save()
        return
    log_push(known, stills, path)
    if written not in known.run.file_sha256:
        known.run.file_sha256.append(written)
        known.run.people = results.run.people
    known.save()


def _holds_task(path: Path, name: str) -> bool:
    try:
        return read_task_name(path) == name
    except FormatError:
        return False


def handover_name(dataset: fo.Dataset, key: str) -> str:
    """Name the file of a run, without suffix: two datasets may share a folder.

    Not by the dataset's name, which may tell of a person and leaves the clinic with the file.
    """
    return f"{key}-{dataset_id(dataset)[-6:]}"
