"""The FiftyOne annotation backend `cvat-skeleton`: keypoints of any skeleton, to CVAT and back.

    >>> view.annotate("round1", backend="cvat-skeleton", label_field="keypoints")  # doctest: +SKIP
    >>> dataset.load_annotations("round1")                                         # doctest: +SKIP

`fiftyone_legpose.review.backend` builds on it: there predictions stay as they are, and each frame
has a state.
"""

import logging
from typing import Any

import fiftyone.utils.annotations as foua

from cvat_bridge.pushing import FRAMES_PER_TASK
from cvat_bridge.server import Server
from fiftyone_legpose.cvat.announce import BACKEND
from fiftyone_legpose.cvat.hooks import RunHooks
from fiftyone_legpose.cvat.login import Login, find_login
from fiftyone_legpose.cvat.outgoing import (
    Outgoing,
    check_key,
    declare_field,
    of_classes,
    read_outgoing,
    skeleton_of,
)
from fiftyone_legpose.cvat.results import (
    CvatSkeletonResults,
    Run,
    class_names,
    is_begun,
    load_results,
)
from fiftyone_legpose.cvat.returned import from_server
from fiftyone_legpose.cvat.stills import log_push, open_stills
from fiftyone_legpose.dataset.frames import dataset_id, frame_ids, plain_view, source_dataset
from fiftyone_legpose.dataset.writing_lock import writing_to
from fiftyone_legpose.errors import DatasetError
from fiftyone_legpose.privacy.modes import Mode
from fiftyone_legpose.progress import Report, ignore

logger = logging.getLogger(__name__)

# The only attribute of a keypoint label that a reviewer sets.
_ATTRIBUTES = {"visible": {"type": "list"}}


class CvatSkeletonBackendConfig(foua.AnnotationBackendConfig):
    """Settings of one run; the login is taken from here but never stored.

    Parameters
    ----------
    name, label_schema, media_field
        See FiftyOne's base class.
    url, token, username, password, organization
        The server and the account, by default those of ``FIFTYONE_CVAT_URL``, ``_TOKEN``,
        ``_USERNAME``, ``_PASSWORD`` and ``_ORGANIZATION``.
    project
        Name of the CVAT project, which is made where there is none.
    assignee
        CVAT user name of the reviewer.
    segment_size
        Frames of one job; None makes one job a task.
    image_quality
        1 to 100, of the pictures as CVAT shows them.
    as_tracks
        Send persons with a track id (``index``) as skeleton tracks.
    frames_per_task
        Frames of one CVAT task; more frames make more tasks.
    finished_only
        Load the frames of completed jobs alone; the others stay as they are. It belongs to the
        run, so give it to `annotate`.
    run_name
        Key that the run was registered with; its stills and tasks keep this name.
    privacy
        What stills may show, see `fiftyone_legpose.privacy.gate.Mode`; None refuses faces and
        upper bodies where the skeleton is that of legs, and looks at nothing elsewhere.
    crop_below
        Share of the stills' height, from the top, that is black.
    """

    def __init__(
        self,
        name: str,
        label_schema: dict[str, Any],
        media_field: str = "filepath",
        url: str | None = None,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        assignee: str | None = None,
        segment_size: int | None = None,
        image_quality: int = 95,
        as_tracks: bool = False,
        frames_per_task: int = FRAMES_PER_TASK,
        finished_only: bool = True,
        run_name: str | None = None,
        privacy: Mode | None = None,
        crop_below: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, label_schema, media_field=media_field, **kwargs)
        self._unknown = sorted(kwargs)
        self.project = project
        self.assignee = assignee
        self.segment_size = segment_size
        self.image_quality = image_quality
        self.as_tracks = as_tracks
        self.frames_per_task = frames_per_task
        self.finished_only = finished_only
        self.run_name = run_name
        self.privacy = privacy
        self.crop_below = crop_below
        # FiftyOne stores every attribute without an underscore.
        self._login = Login()
        self.load_credentials(url, token, username, password, organization)

    def load_credentials(
        self,
        url: str | None = None,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        organization: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Take a login for this session."""
        self._login = find_login(
            url=url, token=token, user=username, password=password, organization=organization
        )
        super().load_credentials(**kwargs)

    def refuse_unknown(self) -> None:
        """Refuse settings that the backend does not have.

        Raises
        ------
        DatasetError
        """
        if self._unknown:
            raise DatasetError(
                f"The backend {BACKEND!r} does not know {', '.join(self._unknown)}; it takes url, "
                "token, username, password, organization, project, assignee, segment_size, "
                "image_quality, as_tracks, frames_per_task, finished_only, privacy and crop_below."
            )

    @property
    def login(self) -> Login:
        """The server and the account."""
        return self._login

    @property
    def label_field(self) -> str:
        """The only field of the run, without ``frames.``."""
        if len(self.label_schema or {}) != 1:
            raise DatasetError(
                f"The backend {BACKEND!r} takes one keypoint field a run: call it once a field."
            )
        return str(next(iter(self.label_schema))).removeprefix("frames.")


class CvatSkeletonBackend(RunHooks, foua.AnnotationBackend):
    """Sends frames as stills with skeletons drawn on them, and fetches what reviewers made."""

    supported_media_types = ("image", "video")
    supported_label_types = ("keypoints",)
    supported_scalar_types = ()
    supported_attr_types = ("list",)
    supports_clips_views = False
    supports_keyframes = False
    supports_video_sample_fields = False
    requires_label_schema = True

    _resumed = False

    def recommend_attr_tool(self, name: str, value: Any) -> dict[str, Any]:
        """Say how an attribute is drawn; only `visible` is, by CVAT's own flags."""
        return {"type": "list"}

    def requires_attr_values(self, attr_type: str) -> bool:
        """Say that no attribute needs a list of values."""
        return False

    def register_run(
        self, samples: Any, key: str, overwrite: bool = True, cleanup: bool = True
    ) -> None:
        """Register a run, or go on with one that was interrupted."""
        check_key(key)
        self.config.refuse_unknown()
        self.config.run_name = key
        for info in self.config.label_schema.values():
            # Attributes of single classes would be erased: FiftyOne sets what does not return.
            info["classes"] = class_names(info)
            info["attributes"] = _ATTRIBUTES if info.get("allow_spatial_edits", True) else {}
            if len(info["classes"]) > 1:
                logger.warning(
                    "Reviewers see one skeleton, not its class: labels keep theirs (%s), and who "
                    "is added in CVAT gets none",
                    ", ".join(info["classes"]),
                )
        dataset = source_dataset(samples)
        self._resumed = is_begun(dataset, key)
        earlier = load_results(dataset, key) if self._resumed else None
        if self._resumed:
            overwrite, cleanup = True, False
            begun = dataset.get_annotation_info(key).config
            self.config.run_name = begun.run_name
            if earlier is not None and begun.label_field != self.config.label_field:
                raise DatasetError(
                    f"Run {key!r} was interrupted with the field {begun.label_field!r}, not "
                    f"{self.config.label_field!r}: go on with that one, or choose another key."
                )
        if earlier is not None:
            _check_same_frames(earlier, samples)
        super().register_run(samples, key, overwrite=overwrite, cleanup=cleanup)
        if earlier is not None:
            # FiftyOne drops what was stored of a run that is registered again.
            earlier.save()

    def upload_annotations(
        self, samples: Any, anno_key: str, launch_editor: bool = False
    ) -> CvatSkeletonResults:
        """Send the frames of a collection; see FiftyOne's base class."""
        try:
            known = load_results(source_dataset(samples), anno_key)
            organization = known.run.organization if known else None
            with (
                writing_to(samples, "annotate"),
                self.config.login.connect(organization=organization) as server,
            ):
                results = self.send(server, samples, anno_key, resumed=self._resumed)
        except Exception:
            # A run of which nothing was sent would only be in the way of the next attempt.
            if load_results(source_dataset(samples), anno_key) is None:
                self.delete_run(samples, anno_key, cleanup=False)
            raise
        if launch_editor:
            results.launch_editor()
        return results

    def download_annotations(self, results: CvatSkeletonResults) -> dict[str, Any]:
        """Fetch the labels of finished frames; see FiftyOne's base class."""
        with self.config.login.connect(results.run.url, results.run.organization) as server:
            returned = list(
                from_server(
                    results.run,
                    server,
                    highest_track=results.highest_track,
                    finished_only=self.config.finished_only,
                )
            )
        for part in returned:
            if part.gone is not None:
                logger.warning("%s is not in CVAT any more: %d frames", part.gone, part.waiting)
        labels = results.to_labels(returned)
        if results.waiting:
            logger.warning(
                "%d of %d frames of run %r are not loaded: their jobs are not marked completed in "
                "CVAT",
                results.waiting,
                len(results.run.frames),
                results.key,
            )
        return labels

    def send(
        self,
        server: Server,
        samples: Any,
        key: str,
        report: Report | None = None,
        *,
        resumed: bool = False,
    ) -> CvatSkeletonResults:
        """Send a registered run, or what is missing of it.

        Parameters
        ----------
        server
            A logged-in server.
        samples
            The collection that the run was registered on.
        key
            Of the run.
        report
            Called with frames done and in all.
        resumed
            It was interrupted, so that tasks may be there, even renamed.

        Returns
        -------
        CvatSkeletonResults
            Saved after each task, so that a later call goes on from there.

        Raises
        ------
        CvatError
            The server cannot be reached, refuses, or holds something else.
        DatasetError
            There is nothing to send.
        PrivacyError
            Stills show what the run refuses; nothing is sent.
        """
        results, outgoing = self.prepare(samples, key)
        run, total = results.run, len(outgoing.frame_ids)
        earlier = load_results(source_dataset(samples), key) if resumed else None
        sent_before = earlier.run.sent if earlier else 0
        stills = open_stills(results, outgoing)
        stills.check(report or ignore, first=sent_before)
        name = self.config.project or self.project_name(run.skeleton)
        project = server.project(name, run.skeleton)
        run.url, run.project_url = server.url, project.url
        run.organization = project.organization
        self.on_project(server, project)
        if earlier:
            # Replaced one by one as they are found again: a push that breaks off once more must
            # not forget the others.
            run.tasks = list(earlier.run.tasks)
        sent = range(0)

        per_task = self.config.frames_per_task

        def progress(step: str, done: int, of: int) -> None:
            before = sent.stop
            at = before + done if step == "upload" else min(before + per_task, total)
            if report:
                report(at, total, step)

        pushed = server.push(
            project,
            run.task_name,
            outgoing.to_frames(stills.read),
            frames_per_task=self.config.frames_per_task,
            as_tracks=self.config.as_tracks,
            segment_size=self.config.segment_size,
            assignee=self.config.assignee,
            image_quality=self.config.image_quality,
            resumed=resumed,
            progress=progress,
        )
        try:
            for index, task in enumerate(pushed):
                sent = run.add_task(index, task, resumed=resumed)
                log_push(results, stills, server.url)
                results.save()
                self.on_sent(results, sent, by=server.user, known=sent.stop <= sent_before)
        finally:
            # Of a task that breaks off, stills have left too.
            log_push(results, stills, server.url)
        run.complete = True
        results.save()
        return results

    def prepare(self, samples: Any, key: str) -> tuple[CvatSkeletonResults, Outgoing]:
        """Read the frames of a registered run and make its results; nothing is sent yet.

        Frames of a run that has stored results keep the names and numbers of these, so that what
        is in CVAT still fits where frames were deleted from the dataset since.
        """
        view = plain_view(samples)
        field = self.config.label_field
        declare_field(view, field)
        known = load_results(source_dataset(samples), key)
        [info] = self.config.label_schema.values()
        classes = class_names(info)
        skeleton = skeleton_of(view, field, classes, known=self.known_skeletons)
        if classes:
            view = of_classes(view, field, classes)
        outgoing = read_outgoing(
            view,
            field,
            self.config.run_name or key,
            keypoint_count=len(skeleton.keypoints),
            as_tracks=self.config.as_tracks,
            media_field=self.config.media_field,
            people=known.run.people if known else (),
        )
        if known is not None:
            outgoing = known.run.reorder(outgoing)
            task_name = known.run.task_name
        else:
            name = self.config.run_name or key
            task_name = f"legpose-{dataset_id(view)}-{name}-{outgoing.tag}"
        run = Run.of(key, outgoing, skeleton, task_name)
        run.hand_overs = list(known.run.hand_overs) if known else []
        return CvatSkeletonResults.begin(samples, self.config, key, self, run=run), outgoing


def _check_same_frames(earlier: CvatSkeletonResults, samples: Any) -> None:
    """Refuse to go on with an interrupted run on other frames than it began with."""
    dataset = source_dataset(samples)
    left = set(earlier.run.frames.ids) & set(frame_ids(dataset))
    if set(frame_ids(samples)) != left:
        raise DatasetError(
            f"Run {earlier.key!r} was interrupted with other frames than these: repeat it with the "
            "view that it began with, or choose another key."
        )
