"""What is out under a run of the backend `cvat-skeleton`: frames, tasks, persons."""

import webbrowser
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import fiftyone as fo
import fiftyone.utils.annotations as foua

from cvat_bridge.errors import ConflictError, NotFoundError
from cvat_bridge.poses import Pose
from fiftyone_legpose.cvat.announce import BACKEND
from fiftyone_legpose.cvat.returned import Returned
from fiftyone_legpose.cvat.run import Run
from fiftyone_legpose.dataset import keypoint_labels
from fiftyone_legpose.dataset.frames import labels_by_frame, source_dataset
from fiftyone_legpose.dataset.writing_lock import writing_to
from fiftyone_legpose.pose.matching import match_people


class CvatSkeletonResults(foua.AnnotationResults):
    """What is out under a run, and where; everything but the login is stored."""

    def __init__(
        self,
        samples: Any,
        config: Any,
        anno_key: str,
        id_map: dict[str, Any],
        backend: Any = None,
        *,
        run: Run,
        loaded: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(samples, config, anno_key, id_map, backend=backend)
        # FiftyOne stores every attribute without an underscore.
        self._run = run
        self.loaded = loaded or {}
        """Ids of the labels that were loaded into another field than the run's, as in `id_map`."""
        self._waiting = 0
        self._highest: dict[str, int] = {}

    @classmethod
    def begin(
        cls, samples: Any, config: Any, anno_key: str, backend: Any, *, run: Run
    ) -> "CvatSkeletonResults":
        """Make the results of a run of which nothing is sent yet."""
        results = cls(samples, config, anno_key, {}, backend=backend, run=run)
        results.id_map = {results.schema_field: results._id_map(range(len(run.frames)))}
        results._finalize_id_map()
        return results

    @classmethod
    def _from_dict(
        cls, d: dict[str, Any], samples: Any, config: Any, anno_key: str
    ) -> "CvatSkeletonResults":
        run = Run.from_stored(anno_key, d)
        return cls(samples, config, anno_key, d["id_map"], run=run, loaded=d.get("loaded"))

    def serialize(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Give what FiftyOne stores."""
        return {**super().serialize(*args, **kwargs), **self._run.to_stored()}

    @property
    def run(self) -> Run:
        """What was sent, and where."""
        return self._run

    def highest_track(self, sample_id: str) -> int:
        """Tell the highest track number of a sample, -1 where nobody has one.

        What was loaded before must not count, or each load would number anew.
        """
        if sample_id not in self._highest:
            indices = [index for of, index in self.run.people if of == sample_id]
            shown = self.backend.highest_shown_track(self.samples, sample_id)
            self._highest[sample_id] = max([*indices, shown])
        return self._highest[sample_id]

    @property
    def schema_field(self) -> str:
        """The run's field as FiftyOne's label schema has it."""
        return str(next(iter(self.config.label_schema)))

    @property
    def waiting(self) -> int:
        """Frames that the last load of this session left out: their jobs are not completed."""
        return self._waiting

    def launch_editor(self) -> None:
        """Open the first task in the browser."""
        if self.run.tasks:
            webbrowser.open(self.run.tasks[0].url)

    def cleanup(self, *, unfinished: bool = False) -> None:
        """Delete the run's tasks in CVAT; frames that were not pulled wait for a reviewer again.

        Parameters
        ----------
        unfinished
            Also directly after a load that had to leave frames out, whose corrections are lost.

        Raises
        ------
        ConflictError
            A load has left frames out, as with ``load_annotations(..., cleanup=True)`` before all
            jobs are completed. Or a task is not the one that was sent: the login leads to another
            server.
        """
        if self._waiting and not unfinished:
            raise ConflictError(
                f"{self._waiting} of the {len(self.run.frames)} frames of run {self.key!r} "
                "are in jobs that are not completed. What was made there would be lost, so the "
                "tasks stay: mark the jobs completed and load again, or delete all with "
                f"dataset.load_annotation_results({self.key!r}).cleanup(unfinished=True)."
            )
        with writing_to(self.samples, "cleanup"):
            if self.run.tasks:
                with self.config.login.connect(self.run.url, self.run.organization) as server:
                    for task in self.run.tasks:
                        with suppress(NotFoundError):
                            self.run.check_frames(task, server.frames(task.id)[0])
                            server.delete_task(task.id)
            self.backend.on_cleanup(self)
            self.run.tasks = []
            self.save()

    def to_labels(self, returned: list[Returned]) -> dict[str, Any]:
        """Give what came back as FiftyOne merges it, with the ids of the labels that are there."""
        finished = {i: people for part in returned for i, people in part.poses.items()}
        numbers = {i: known for part in returned for i, known in part.numbers.items()}
        self._waiting = sum(part.waiting for part in returned if part.gone is None)
        self._learn_ids()
        for field, ids in self.loaded.items():
            self.id_map[field] = self._restricted(ids, finished)
        self.id_map[self.schema_field] = self._id_map(finished)
        present = self._present_labels()
        labels: dict[str, Any] = {}
        for i, people in finished.items():
            shown = present.get(self.run.frames.ids[i])
            there = [] if shown is None else shown.keypoints
            before = [k for k in there if k.id in self.run.frames.labels[i]]
            sent_as = self.run.numbers_by_label(i)
            made = _merged(
                before,
                people,
                match_people(
                    keypoint_labels.to_poses(
                        fo.Keypoints(keypoints=before), self.run.frames.sizes[i]
                    ),
                    people,
                    before_numbers=[sent_as.get(keypoint.id) for keypoint in before],
                    after_numbers=numbers[i],
                ),
                self.run.frames.sizes[i],
                self._new_label(),
            )
            if _hide_shared_indices(made, there):
                self.config.label_schema[self.schema_field]["allow_index_edits"] = False
            self._level(labels, i)[self._leaf(i)] = made
        return {self.schema_field: {"keypoints": labels}}

    def _new_label(self) -> str | None:
        """Name the class of a person that a reviewer has added; unknown where there are several."""
        classes = class_names(self.config.label_schema[self.schema_field])
        return self.run.skeleton.name if len(classes) < 2 else None

    def _id_map(self, frames: Iterable[int]) -> dict[str, Any]:
        ids: dict[str, Any] = {}
        for i in frames:
            self._level(ids, i)[self._leaf(i)] = list(self.run.frames.labels[i])
        return ids

    def _level(self, tree: dict[str, Any], frame: int) -> dict[str, Any]:
        """Find the mapping that a frame's entry belongs into: by video, or of all frames."""
        if self._by_video:
            level: dict[str, Any] = tree.setdefault(self.run.frames.sample_ids[frame], {})
            return level
        return tree

    @property
    def _by_video(self) -> bool:
        return self.schema_field.startswith("frames.")

    def _leaf(self, frame: int) -> str:
        return str(self.run.frames.ids[frame])

    def _restricted(self, ids: dict[str, Any], frames: Iterable[int]) -> dict[str, Any]:
        """Leave out of an id map what other frames hold: FiftyOne deletes what does not return."""
        kept: dict[str, Any] = {}
        for i in frames:
            level = ids.get(self.run.frames.sample_ids[i], {}) if self._by_video else ids
            if self._leaf(i) in level:
                self._level(kept, i)[self._leaf(i)] = level[self._leaf(i)]
        return kept

    def _learn_ids(self) -> None:
        """Note the labels that FiftyOne added when it merged what came back before."""
        for field, ids in self.id_map.items():
            # FiftyOne keeps where frames of views belong under names like _frames.
            if field != self.schema_field and not field.startswith("_"):
                _update(self.loaded.setdefault(field, {}), ids)
        for i, labels in enumerate(self.run.frames.labels):
            entry = self._level(self.id_map.get(self.schema_field, {}), i).get(self._leaf(i))
            added = [entry] if isinstance(entry, str) else entry or []
            labels += [label for label in added if label not in labels]

    def _present_labels(self) -> dict[str, fo.Keypoints | None]:
        return labels_by_frame(
            source_dataset(self.samples), self.run.frames.ids, self.config.label_field
        )


def class_names(info: Mapping[str, Any]) -> list[str]:
    """List the classes of a field of a label schema, of which some can be given with attributes."""
    given = [
        each["classes"] if isinstance(each, Mapping) else [each]
        for each in info.get("classes") or ()
    ]
    return [str(name) for names in given for name in names]


def load_results(dataset: fo.Dataset, key: str) -> CvatSkeletonResults | None:
    """Load the results of a run; None if it was interrupted before it had any."""
    try:
        results: CvatSkeletonResults | None = dataset.load_annotation_results(key, cache=False)
    except AttributeError:
        # FiftyOne replaces stored results in two steps; a run killed in between has lost them.
        return None
    return results


def _merged(
    present: list[fo.Keypoint],
    people: list[Pose],
    pairs: Iterable[tuple[int, int]],
    size: Sequence[int],
    label: str | None,
) -> dict[str, fo.Keypoint]:
    """Give the persons of a frame by label id: that of the label that they were, or a new one."""
    partners = {after: present[before] for before, after in pairs}
    merged = {}
    returned = keypoint_labels.to_keypoints(people, (size[0], size[1]), label=label).keypoints
    for i, keypoint in enumerate(returned):
        partner = partners.get(i)
        if partner is not None:
            keypoint.id = partner.id
            keypoint.label = partner.label
            keypoint.index = partner.index if keypoint.index is None else keypoint.index
        merged[keypoint.id] = keypoint
    return merged


def _hide_shared_indices(made: dict[str, fo.Keypoint], there: list[fo.Keypoint]) -> bool:
    """Take the ``index`` from labels that share it with another one of their frame.

    FiftyOne knows a label again by its index, whatever its id, and would put one person in the
    place of the other. Tells whether there are any: then no index may be edited, so that the labels
    in the dataset keep theirs.
    """
    shared = Counter(keypoint.index for keypoint in there if keypoint.index is not None)
    hidden = [keypoint for keypoint in made.values() if shared[keypoint.index] > 1]
    for keypoint in hidden:
        keypoint.index = None
    return bool(hidden)


def _update(known: dict[str, Any], ids: Mapping[str, Any]) -> None:
    """Add an id map of FiftyOne to another one."""
    for key, value in ids.items():
        if isinstance(value, Mapping):
            _update(known.setdefault(key, {}), value)
        else:
            before = known.setdefault(key, [])
            added = [value] if isinstance(value, str) else value
            before += [label for label in added if label not in before]


def is_begun(dataset: fo.Dataset, key: str) -> bool:
    """Tell whether a run of this backend was interrupted before all of it was sent."""
    if key not in dataset.list_annotation_runs(method=BACKEND):
        return False
    results = load_results(dataset, key)
    return results is None or not results.run.complete
