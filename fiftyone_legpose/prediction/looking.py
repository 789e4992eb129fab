"""Looking at frames and pictures so that people of any size are seen well: once, or closer."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from fiftyone_legpose.prediction.close_look import (
    INPUT_SHARE,
    cuttings,
    expected_boxes,
    moved,
    take_expected,
    whole_looks,
)
from fiftyone_legpose.prediction.inference import Inference
from fiftyone_legpose.prediction.person_scale import (
    Plan,
    large_enough,
    look_sizes,
    plan_looks,
)
from fiftyone_legpose.prediction.raw_poses import Frame, PreparedFrame, RawPoses
from fiftyone_legpose.prediction.runtimes import PoseModel

_STRIDE = 32
"""Inputs are multiples of it, in px."""

_CANDIDATE_SHARE = 0.5
"""Share of the lowest box confidence that is worth a closer look, which then decides."""

Looked = tuple[int, PreparedFrame | Frame, RawPoses]
"""Number of a frame, what its size is to be read from, and who was found in it."""


@dataclass(frozen=True)
class _Anchor:
    """A frame that was looked at as a whole, and then at each one who is there."""

    number: int
    frame: Frame
    found: RawPoses


class Looker:
    """A pose model that looks again, closer, at people who are too small for one look.

    Parameters
    ----------
    model
        Its attribute `inference` says what is asked; see `Inference.close_look`.
    """

    def __init__(self, model: PoseModel):
        self.model = model

    def look(self, pictures: Sequence[np.ndarray]) -> list[RawPoses]:
        """Find the persons in pictures that have nothing to do with each other.

        Parameters
        ----------
        pictures
            Shape (H, W, 3) each, BGR.

        Returns
        -------
        list of RawPoses
            One a picture, persons by falling confidence.
        """
        return [raw for _, _, raw in self.look_at_each(enumerate(pictures))]

    @property
    def asked(self) -> Inference:
        """What is asked of the network in the look that counts."""
        return self.model.inference

    def look_at_each(self, pictures: Iterable[tuple[int, np.ndarray]]) -> Iterator[Looked]:
        """Find the persons in numbered pictures, one after the other; see `look`."""
        kept: deque[np.ndarray] = deque()

        def prepared() -> Iterator[tuple[int, PreparedFrame]]:
            for number, picture in pictures:
                kept.append(picture)
                yield number, self.model.prepare(picture)

        for number, frame, first in self.look_once(prepared()):
            yield number, frame, self.look_again(kept.popleft(), first)

    def look_once(
        self, frames: Iterable[tuple[int, PreparedFrame]], asked: Inference | None = None
    ) -> Iterator[Looked]:
        """Run the model batch by batch, one under way while the one before is taken apart.

        Parameters
        ----------
        frames
            Number of each, and what `PoseModel.prepare` made of it.
        asked
            As `PoseModel.begin` takes it.
        """
        source = iter(frames)
        pending: tuple[list[tuple[int, PreparedFrame]], Callable[[], list[RawPoses]]] | None = None
        while True:
            chunk = list(islice(source, self.model.batch))
            begun = (chunk, self.model.begin([f for _, f in chunk], asked)) if chunk else None
            if pending is not None:
                for (number, frame), raw in zip(pending[0], pending[1](), strict=True):
                    yield number, frame, raw
            pending = begun
            if pending is None:
                break

    def plan(self, frames: Iterable[np.ndarray]) -> Plan:
        """Find out how large people are in a few frames of a video, and how to look at it.

        Parameters
        ----------
        frames
            Shape (H, W, 3) each, BGR.
        """
        side, few = self.model.side, list(frames)
        if not few:
            return Plan(side, close=False, leg_px=None)
        frame_px = max(few[0].shape[:2])
        seen: dict[int, list[RawPoses]] = {}
        for size in look_sizes(side, frame_px):
            seen[size] = self._find(few, size)
            plan = plan_looks(seen, side, frame_px)
            if plan.leg_px is not None and not plan.close:
                break
        return plan

    def watch(
        self, frames: Iterable[tuple[int, np.ndarray]], numbers: Sequence[int], plan: Plan
    ) -> Iterator[Looked]:
        """Find the persons in frames of a video, each in a cutting of the frame.

        Where they are is seen in whole frames, which `close_look.whole_looks` chooses, and lies in
        between on the frames between. Where somebody comes or goes, or is not found in the
        cutting, those are looked at as a whole too.

        Parameters
        ----------
        frames
            Number and picture of each, rising; see `close_look.needed_frames`.
        numbers
            All frame numbers that were asked for, of which `frames` may be a part.
        plan
            From `plan`, with `Plan.close`.

        Yields
        ------
        number : int
        frame : Frame
        raw : RawPoses
        """
        anchors = set(whole_looks(numbers))
        before: _Anchor | None = None
        waiting: list[tuple[int, Frame]] = []
        for number, picture in frames:
            frame = Frame(picture)
            if number not in anchors:
                waiting.append((number, frame))
                continue
            anchor = _Anchor(number, frame, self._look_closer(frame, plan.look_px))
            yield from self._watch_between(before, waiting, anchor, plan.look_px)
            yield number, frame, anchor.found
            before, waiting = anchor, []
        # The frame that should have ended the stretch could not be decoded.
        yield from self._watch_between(before, waiting, None, plan.look_px)

    def _watch_between(
        self,
        before: _Anchor | None,
        waiting: list[tuple[int, Frame]],
        after: _Anchor | None,
        look_px: int,
    ) -> Iterator[Looked]:
        """Find the persons in the frames between two that are known."""
        expected = _expect(before, [number for number, _ in waiting], after)
        if expected is None:
            for number, frame in waiting:
                yield number, frame, self._look_closer(frame, look_px)
            return
        answers = self._cut([frame for _, frame in waiting], [boxes for boxes, _ in expected])
        for (number, frame), (_, sure), answer in zip(waiting, expected, answers, strict=True):
            raw, missing = answer
            lost = (missing & sure).any()
            yield number, frame, self._look_closer(frame, look_px) if lost else raw

    def _look_closer(self, frame: Frame, look_px: int) -> RawPoses:
        """Find people in a whole frame, and look closer at each one."""
        [found] = self._find([frame.picture], look_px)
        [(raw, _)] = self._cut([frame], [found.boxes])
        return raw

    def look_again(self, picture: np.ndarray, first: RawPoses) -> RawPoses:
        """Look closer at a picture, unless what one look has told of it is good enough."""
        frame_px = max(picture.shape[:2])
        if not self.asked.close_look or large_enough(first, frame_px):
            return first
        side = self.model.side
        seen = {size: self._find([picture], size) for size in look_sizes(side, frame_px)}
        plan = plan_looks(seen, side, frame_px)
        if not plan.close:
            return first
        [(raw, _)] = self._cut([Frame(picture)], [seen[plan.look_px][0].boxes])
        return raw

    def _find(self, pictures: Sequence[np.ndarray], look_px: int) -> list[RawPoses]:
        """Find people in whole pictures, quickly: the closer look tells where their legs are."""
        conf = self.asked.conf * _CANDIDATE_SHARE
        asked = replace(self.asked, conf=conf, voting=False, flip_test=False)
        return self._ask([self.model.prepare(picture, look_px) for picture in pictures], asked)

    def _cut(
        self, frames: Sequence[Frame], expected: Sequence[np.ndarray]
    ) -> list[tuple[RawPoses, np.ndarray]]:
        """Look at everybody in a cutting around the box (N, 4) where they are expected.

        Returns, for each frame, who is there and for which boxes nobody is.
        """
        side = max(round(self.model.side * INPUT_SHARE / _STRIDE), 1) * _STRIDE
        places = [cuttings(b, f.shape) for f, b in zip(frames, expected, strict=True)]
        prepared = [
            self.model.prepare(frame.picture[y1:y2, x1:x2], side)
            for frame, cut in zip(frames, places, strict=True)
            for x1, y1, x2, y2 in cut
        ]
        answers = iter(self._ask(prepared, self.asked))
        out = []
        for cut, boxes in zip(places, expected, strict=True):
            seen = [moved(next(answers), place[:2]) for place in cut]
            out.append(take_expected(seen, boxes))
        return out

    def _ask(self, frames: Sequence[PreparedFrame], asked: Inference) -> list[RawPoses]:
        return [raw for _, _, raw in self.look_once(enumerate(frames), asked)]


def _expect(
    before: _Anchor | None, numbers: Sequence[int], after: _Anchor | None
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Tell where people are on the frames between two; None where whole frames have to tell."""
    if before is None or after is None:
        return None
    span = after.number - before.number
    expected = [
        expected_boxes(before.found, after.found, (number - before.number) / span)
        for number in numbers
    ]
    known = [each for each in expected if each is not None]
    return known if len(known) == len(expected) else None
