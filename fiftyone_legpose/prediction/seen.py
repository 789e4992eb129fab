"""What a prediction saw: how many people, how large, how they were looked at and followed."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from fiftyone_legpose.prediction.person_scale import legs_of

if TYPE_CHECKING:
    from fiftyone_legpose.prediction.person_scale import Plan
    from fiftyone_legpose.prediction.raw_poses import RawPoses

SMALL_LEG_PX: Final = 60
"""Leg length in px of the picture under which a tenth of it is hardly told apart from blur."""

_LARGE_SHARE: Final = 0.9
"""Leg length, as a share of the picture's height, from which hips or feet are mostly cut off."""


@dataclass(frozen=True)
class Seen:
    """What one call of `predict` saw, over all of its frames."""

    persons_at_once: int
    """In one frame, without the twentieth of the frames that have most."""
    leg_px: float | None
    """Median leg length in px of the picture; None where nobody was found."""
    leg_share: float | None
    """Median leg length as a share of the picture's height."""
    frames_per_track: float | None
    """Mean over all tracks; None where nobody was followed."""
    looks: tuple[str, ...]
    """How frames were looked at, such as ``"576 px, then closer"``, the most frequent first."""

    def describe(self) -> str:
        """Say it in one line."""
        if self.leg_px is None or self.leg_share is None:
            return f"Nobody was found{self._how()}."
        people = "1 person" if self.persons_at_once == 1 else f"{self.persons_at_once} persons"
        size = f"legs {self.leg_px:.0f} px long ({self.leg_share:.0%} of the picture's height)"
        told = f"Seen: {people} at once, {size}{self._how()}"
        if self.frames_per_track is None:
            return f"{told}."
        return f"{told}, {self.frames_per_track:.0f} frames per track."

    def _how(self) -> str:
        return f", looked at with {' or '.join(self.looks)}" if self.looks else ""

    def warnings(self) -> list[str]:
        """Say what keeps points from being placed well, and what helps."""
        if self.leg_px is None or self.leg_share is None:
            return ["Nobody was found: look at some frames; a lower conf finds who is less clear."]
        if self.leg_px < SMALL_LEG_PX:
            return [
                f"Legs are {self.leg_px:.0f} px long; under {SMALL_LEG_PX} px points are placed "
                "badly. Film from nearer or zoom in; a video that was made smaller is better "
                "loaded as it was filmed."
            ]
        if self.leg_share > _LARGE_SHARE:
            return [
                f"Legs are as long as {self.leg_share:.0%} of the picture's height, so that hips "
                "or feet are cut off. Film from further away or turn the camera upright."
            ]
        return []


@dataclass
class SeenSoFar:
    """Collects what `Seen` says, frame by frame."""

    _persons: list[int] = field(default_factory=list)
    _leg_px: list[float] = field(default_factory=list)
    _leg_share: list[float] = field(default_factory=list)
    _tracks: Counter[tuple[int, int]] = field(default_factory=Counter)
    _looks: Counter[str] = field(default_factory=Counter)
    _video: int = 0
    _how: str | None = None

    def begin_video(self, plan: "Plan | None") -> None:
        """Go on to the next video, whose track ids have nothing to do with those before."""
        self._video += 1
        self._how = None
        if plan is not None:
            self._how = f"{plan.look_px} px" + (", then closer" if plan.close else "")

    def add(
        self, raw: "RawPoses", shape: tuple[int, int], track_ids: np.ndarray | None = None
    ) -> None:
        """Take who was found in a frame of this height and width."""
        self._persons.append(len(raw.scores))
        lengths = legs_of(raw)
        self._leg_px += lengths.tolist()
        self._leg_share += (lengths / shape[0]).tolist()
        if self._how is not None:
            self._looks[self._how] += 1
        for track in [] if track_ids is None else track_ids[track_ids >= 0].tolist():
            self._tracks[self._video, track] += 1

    def seen(self) -> Seen:
        """Sum it up."""
        found = bool(self._leg_px)
        return Seen(
            persons_at_once=int(np.percentile(self._persons, 95)) if self._persons else 0,
            leg_px=float(np.nanmedian(self._leg_px)) if found else None,
            leg_share=float(np.nanmedian(self._leg_share)) if found else None,
            frames_per_track=float(np.mean(list(self._tracks.values()))) if self._tracks else None,
            looks=tuple(how for how, _ in self._looks.most_common()),
        )
