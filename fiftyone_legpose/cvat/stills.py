"""Stills on their way to a reviewer: decoded in order, looked at, encoded without metadata."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import cv2
import numpy as np

from fiftyone_legpose.cvat.outgoing import Outgoing
from fiftyone_legpose.cvat.results import CvatSkeletonResults
from fiftyone_legpose.dataset.file_names import file_names
from fiftyone_legpose.dataset.frames import dataset_id, source_dataset
from fiftyone_legpose.errors import DatasetError, UnreadableError
from fiftyone_legpose.privacy.audit import HandOver, hand_over
from fiftyone_legpose.privacy.gate import are_legs
from fiftyone_legpose.privacy.masks import read_masks
from fiftyone_legpose.privacy.modes import Mode
from fiftyone_legpose.privacy.stills import (
    CheckedStill,
    Policy,
    PrivacyError,
    RefusedStill,
    check_still,
    refused_still,
)
from fiftyone_legpose.progress import Report
from fiftyone_legpose.videos import decoding

_JPEG_QUALITY = 95


def open_stills(results: CvatSkeletonResults, outgoing: Outgoing) -> "Stills":
    """Give the stills of a registered run, by its settings."""
    dataset, config = source_dataset(results.samples), results.config
    has_hips = are_legs(results.run.skeleton.keypoints)
    mode: Mode = config.privacy or ("refuse" if has_hips else "off")
    names = dict(zip(dataset.values("id"), file_names(dataset), strict=True))
    policy = Policy(mode, config.crop_below)
    return Stills(outgoing, policy, read_masks(dataset), names, has_hips=has_hips)


def log_push(results: CvatSkeletonResults, stills: "Stills", to: str | Path) -> None:
    """Log what was read of a run's stills, in the log of all and in the run; not saved yet."""
    entry = stills.log(to, dataset=dataset_id(results.samples), run=results.key)
    if entry is not None:
        results.run.hand_overs.append(entry.to_dict())


class Stills:
    """The stills of a run as JPEGs; a video is decoded once as long as its frames come in order.

    Parameters
    ----------
    outgoing
        The frames.
    policy
        What may leave.
    masks
        Shape (N, 4) of shares by sample id, from `read_masks`.
    names
        By sample id, what the file is called in a refusal.
    has_hips
        The poses are of legs, so their hips tell where upper bodies are.
    """

    def __init__(
        self,
        outgoing: Outgoing,
        policy: Policy,
        masks: Mapping[str, np.ndarray],
        names: Mapping[str, str],
        *,
        has_hips: bool,
    ):
        self._frames = outgoing
        self._policy = policy
        self._masks = masks
        self._names = names
        self._has_hips = has_hips
        self._path = ""
        self._decoded: Iterator[tuple[int, np.ndarray]] = iter(())
        self._last = 0
        # Without a name, so that no other user reads it and nothing of it outlives the process.
        self._kept = TemporaryFile()  # noqa: SIM115 - as long as the stills
        self._places: dict[int, tuple[int, int]] = {}
        self._sums: dict[str, str] = {}
        self._blackened: set[int] = set()
        self._read: set[int] = set()

    def log(self, to: str | Path, **facts: Any) -> HandOver | None:
        """Log the stills that were read since the last call as handed over to a place.

        Parameters
        ----------
        to, **facts
            See `fiftyone_legpose.privacy.audit.hand_over`.

        Returns
        -------
        HandOver or None
            What the log says; None where none was read.
        """
        if not self._sums:
            return None
        entry = hand_over(
            "push",
            to,
            self._policy,
            self._sums,
            masks=sum(len(self._masks.get(of, ())) for of in set(self._frames.sample_ids)),
            blackened=len(self._blackened & self._read),
            **facts,
        )
        self._sums.clear()
        self._read.clear()
        return entry

    def check(self, report: Report, *, first: int = 0) -> None:
        """Look at all stills before one is sent, and keep what may leave until it is read.

        Parameters
        ----------
        report
            Called with stills done and in all.
        first
            Position from which on they are looked at now; what is sent already comes before.

        Raises
        ------
        PrivacyError
            The policy refuses some; nothing is to be sent then.
        DatasetError
            A still cannot be made.
        """
        if self._policy.mode == "off":
            return
        todo = [i for i in range(first, len(self._frames.names)) if self._frames.filepaths[i]]
        refused: list[RefusedStill] = []
        for done, index in enumerate(todo):
            report(done, len(todo), "checking")
            still = self._check(index)
            if self._is_refused(still):
                refused.append(refused_still(still, self._where(index)))
            elif not refused:
                data = self._encode(index, still)
                self._places[index] = (self._kept.tell(), len(data))
                self._kept.write(data)
        if refused:
            raise PrivacyError(refused, len(todo))

    def read(self, index: int) -> bytes:
        """Give a still as JPEG, from what was kept or made anew.

        Raises
        ------
        PrivacyError
            The policy refuses it.
        DatasetError
            It cannot be made.
        """
        if index in self._places:
            offset, size = self._places[index]
            self._kept.seek(offset)
            data = self._kept.read(size)
        else:
            still = self._check(index)
            if self._is_refused(still):
                raise PrivacyError([refused_still(still, self._where(index))], 1)
            data = self._encode(index, still)
        self._sums[self._frames.names[index]] = hashlib.sha256(data).hexdigest()
        self._read.add(index)
        return data

    def _is_refused(self, still: CheckedStill) -> bool:
        return self._policy.mode == "refuse" and bool(still.verdict.reasons)

    def _check(self, index: int) -> CheckedStill:
        path, number = self._frames.filepaths[index], self._frames.numbers[index]
        if not path:
            raise DatasetError(
                f"The still {self._frames.names[index]} is gone from CVAT, and its frame from the "
                "dataset. Delete this run (dataset.delete_annotation_run), and push the frames "
                "that are left under another key."
            )
        try:
            picture = decoding.read_picture(path) if number is None else self._frame(index)
        except UnreadableError as error:
            where = path if number is None else f"{path}, frame {number}"
            raise DatasetError(f"{where} cannot be sent: {error}.") from None
        people = self._frames.poses[index] if self._has_hips else []
        masks = self._masks.get(self._frames.sample_ids[index])
        return check_still(picture, people, self._policy, masks)

    def _encode(self, index: int, still: CheckedStill) -> bytes:
        # A still of our own making carries no EXIF data, which can hold names and places.
        quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        done, data = cv2.imencode(".jpg", still.picture, quality)
        if not done:
            raise DatasetError(f"{self._frames.filepaths[index]} cannot be written as JPEG.")
        if still.blackened:
            self._blackened.add(index)
        return data.tobytes()

    def _where(self, index: int) -> str:
        name, number = self._names[self._frames.sample_ids[index]], self._frames.numbers[index]
        return name if number is None else f"{name} frame {number}"

    def _frame(self, index: int) -> np.ndarray:
        path, wanted = self._frames.filepaths[index], self._frames.numbers[index] or 0
        if path != self._path or wanted <= self._last:
            same = zip(self._frames.filepaths[index:], self._frames.numbers[index:], strict=True)
            numbers = [number for other, number in same if other == path and number is not None]
            self._decoded = decoding.read_frames(path, numbers)
            self._path = path
        for number, picture in self._decoded:
            self._last = number
            if number == wanted:
                return picture
        raise UnreadableError("the video ends before it")
