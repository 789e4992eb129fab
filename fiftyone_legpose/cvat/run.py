"""What is out under one run: its frames, its people, the tasks that hold them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from cvat_bridge.errors import ConflictError
from cvat_bridge.server import PushedTask
from cvat_bridge.skeleton import Skeleton
from fiftyone_legpose.cvat.outgoing import Outgoing


@dataclass
class RunFrames:
    """The F frames of a run, in the order in which they went out."""

    ids: list[str] = field(default_factory=list)
    """Of frame documents, or of samples for images."""
    sample_ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Of the stills, without suffix."""
    sizes: list[tuple[int, int]] = field(default_factory=list)
    """Width and height in px."""
    labels: list[list[str]] = field(default_factory=list)
    """Ids of the labels of each frame."""
    numbers: list[list[int | None]] | None = None
    """Number in CVAT of each label; None where the run was stored before numbers were."""

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def from_stored(cls, columns: Mapping[str, Sequence[Any]]) -> "RunFrames":
        """Read the columns that `to_stored` wrote."""
        return cls(
            ids=list(columns.get("id", ())),
            sample_ids=list(columns.get("sample_id", ())),
            names=list(columns.get("name", ())),
            sizes=[(int(width), int(height)) for width, height in columns.get("size", ())],
            labels=[list(labels) for labels in columns.get("labels", ())],
            numbers=[list(n) for n in columns["numbers"]] if "numbers" in columns else None,
        )

    def to_stored(self) -> dict[str, list[Any]]:
        """Give columns as JSON can hold them."""
        columns: dict[str, list[Any]] = {
            "id": self.ids,
            "sample_id": self.sample_ids,
            "name": self.names,
            "size": [list(size) for size in self.sizes],
            "labels": self.labels,
        }
        return columns if self.numbers is None else {**columns, "numbers": self.numbers}


@dataclass(frozen=True)
class SentTask:
    """A task in CVAT and the frames of the run that it holds."""

    id: int
    url: str
    first: int
    """Position in the run of the task's first frame."""
    frames: int
    """How many it holds."""
    taken_up: bool = False
    """Whether it was there already, from a run of the same key that was deleted."""

    @property
    def positions(self) -> range:
        """Positions in the run of the task's frames."""
        return range(self.first, self.first + self.frames)


@dataclass
class Run:
    """What one run has sent, and where."""

    key: str
    skeleton: Skeleton
    frames: RunFrames = field(default_factory=RunFrames)
    people: list[tuple[str, int]] = field(default_factory=list)
    """Sample id and ``index`` of each person, by their number in CVAT."""
    task_name: str = ""
    tasks: list[SentTask] = field(default_factory=list)
    url: str | None = None
    """Address of the server."""
    project_url: str | None = None
    organization: str | None = None
    """Short name of the organisation that it went to, ``""`` for the personal workspace; None where
    that is not known."""
    complete: bool = False
    """Whether all frames were sent."""
    file: bool = False
    """Whether it went out as a file instead of to a server."""
    file_sha256: list[str] = field(default_factory=list)
    """Of each such file, by which it is known if it comes back as it went."""
    hand_overs: list[dict[str, Any]] = field(default_factory=list)
    """What left under this run, as `fiftyone_legpose.privacy.audit.HandOver` has it."""

    @classmethod
    def of(cls, key: str, outgoing: Outgoing, skeleton: Skeleton, task_name: str) -> "Run":
        """Note which frames a run holds and how they are named; nothing is sent yet."""
        return cls(
            key=key,
            skeleton=skeleton,
            frames=RunFrames(
                ids=outgoing.frame_ids,
                sample_ids=outgoing.sample_ids,
                names=outgoing.names,
                sizes=outgoing.sizes,
                labels=outgoing.label_ids,
                numbers=[[pose.track_id for pose in people] for people in outgoing.poses],
            ),
            people=list(outgoing.people),
            task_name=task_name,
        )

    @classmethod
    def from_stored(cls, key: str, stored: Mapping[str, Any]) -> "Run":
        """Read what `to_stored` wrote, also of runs of earlier versions."""
        known = stored.get("file_sha256") or []
        return cls(
            key=key,
            skeleton=_read_skeleton(stored["skeleton"]),
            frames=RunFrames.from_stored(stored.get("frames", {})),
            people=[(str(sample), int(index)) for sample, index in stored.get("people", ())],
            task_name=stored.get("task_name", ""),
            tasks=[SentTask(**task) for task in stored.get("tasks", ())],
            url=stored.get("url"),
            project_url=stored.get("project_url"),
            organization=stored.get("organization"),
            complete=stored.get("complete", False),
            file=stored.get("file", False),
            file_sha256=[known] if isinstance(known, str) else list(known),
            hand_overs=list(stored.get("hand_overs", ())),
        )

    def to_stored(self) -> dict[str, Any]:
        """Give everything but the key as JSON can hold it."""
        return {
            "skeleton": _write_skeleton(self.skeleton),
            "frames": self.frames.to_stored(),
            "people": [list(person) for person in self.people],
            "task_name": self.task_name,
            "tasks": [vars(task) for task in self.tasks],
            "url": self.url,
            "project_url": self.project_url,
            "organization": self.organization,
            "complete": self.complete,
            "file": self.file,
            "file_sha256": self.file_sha256,
            "hand_overs": self.hand_overs,
        }

    @property
    def sent(self) -> int:
        """How many frames are in tasks."""
        return sum(task.frames for task in self.tasks)

    def add_task(self, index: int, task: PushedTask, *, resumed: bool = False) -> range:
        """Note the run's task of this index, from 0, and tell which frames it holds."""
        first = sum(known.frames for known in self.tasks[:index])
        taken_up = not resumed and task.outcome not in ("made", "completed")
        noted = SentTask(task.id, task.url, first, task.size, taken_up=taken_up)
        self.tasks[index : index + 1] = [noted]
        return noted.positions

    def reorder(self, outgoing: Outgoing) -> Outgoing:
        """Order and name frames as they went out before.

        Frames in CVAT keep their place in a task even where they were deleted from the dataset
        since; frames that were not sent yet are left out then.
        """
        at = {frame_id: i for i, frame_id in enumerate(outgoing.frame_ids)}
        known = self.frames
        rows = [row for row, of in enumerate(known.ids) if of in at or row < self.sent]
        places = [at.get(known.ids[row]) for row in rows]

        def filled(values: Sequence[Any], empty: Any) -> list[Any]:
            return [empty if i is None else values[i] for i in places]

        return replace(
            outgoing,
            frame_ids=[known.ids[row] for row in rows],
            sample_ids=[known.sample_ids[row] for row in rows],
            names=[known.names[row] for row in rows],
            sizes=[
                known.sizes[row] if i is None else outgoing.sizes[i]
                for row, i in zip(rows, places, strict=True)
            ],
            filepaths=filled(outgoing.filepaths, ""),
            numbers=filled(outgoing.numbers, None),
            poses=filled(outgoing.poses, []),
            label_ids=filled(outgoing.label_ids, []),
        )

    def numbers_by_label(self, frame: int) -> dict[str, int | None]:
        """Give the number in CVAT of each label of a frame, as far as it is known."""
        if self.frames.numbers is None:
            return {}
        # Labels that a load has added come last, without a number.
        return dict(zip(self.frames.labels[frame], self.frames.numbers[frame], strict=False))

    def check_frames(self, task: SentTask, names: Iterable[str]) -> None:
        """Refuse a task that is not the one that was sent, however equal its number is.

        Raises
        ------
        ConflictError
            It holds other frames.
        """
        positions = task.positions
        expected = self.frames.names[positions.start : positions.stop]
        if [PurePosixPath(name).stem for name in names] != expected:
            raise ConflictError(
                f"{task.url} does not hold the frames that run {self.key!r} sent there. Is "
                "this the right server?"
            )


def _read_skeleton(stored: Mapping[str, Any]) -> Skeleton:
    layout, colors = stored.get("layout"), stored.get("colors")
    return Skeleton(
        stored["name"],
        tuple(stored["keypoints"]),
        tuple((int(a), int(b)) for a, b in stored["edges"]),
        layout=None if layout is None else tuple((float(x), float(y)) for x, y in layout),
        colors=None if colors is None else tuple(colors),
    )


def _write_skeleton(skeleton: Skeleton) -> dict[str, Any]:
    return {
        "name": skeleton.name,
        "keypoints": list(skeleton.keypoints),
        "edges": [list(edge) for edge in skeleton.edges],
        "layout": None if skeleton.layout is None else [list(place) for place in skeleton.layout],
        "colors": None if skeleton.colors is None else list(skeleton.colors),
    }
