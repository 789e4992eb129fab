"""The annotation backend of a push: reviewers see a copy of predictions, frames have states."""

from contextlib import suppress
from typing import Any

from cvat_bridge.errors import ServerError
from cvat_bridge.server import Project, Server
from fiftyone_legpose import legs
from fiftyone_legpose.cvat.backend import CvatSkeletonBackend, CvatSkeletonBackendConfig
from fiftyone_legpose.cvat.results import CvatSkeletonResults
from fiftyone_legpose.dataset import fields, frame_review
from fiftyone_legpose.dataset.frames import path, source_dataset
from fiftyone_legpose.review.guide import GUIDE


class ReviewBackendConfig(CvatSkeletonBackendConfig):
    """Settings of a push.

    Parameters
    ----------
    predictions
        Bare name of the field whose copy the reviewer sees.
    *args, **settings
        As of `CvatSkeletonBackendConfig`.
    """

    def __init__(self, *args: Any, predictions: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.predictions = predictions


class ReviewBackend(CvatSkeletonBackend):
    """Sends frames to reviewers and keeps track of where each of them is."""

    known_skeletons = (legs.SKELETON,)

    def project_name(self, skeleton: Any) -> str:
        """Name the project of legs after the plugin."""
        return "legpose" if skeleton == legs.SKELETON else super().project_name(skeleton)

    def on_project(self, server: Server, project: Project) -> None:
        """Tell reviewers what to do, in a project that is new and nobody else's."""
        if project.created:
            # Nice to have: a server that takes no guide gets the frames all the same.
            with suppress(ServerError):
                server.add_guide(project, GUIDE)

    def on_sent(
        self,
        results: CvatSkeletonResults,
        frames: range,
        *,
        by: str | None = None,
        known: bool = False,
    ) -> None:
        """Mark frames as out.

        What a push that was broken off had sent before (`known`) can be back meanwhile, or out
        with another run: its state stays. Or it was deleted from the dataset.
        """
        ids = results.run.frames.ids[frames.start : frames.stop]
        dataset = source_dataset(results.samples)
        if known:
            reviews = frame_review.read(dataset)
            waiting = set(reviews.frame_ids) - set(reviews.ids(*frame_review.SETTLED))
            ids = [frame_id for frame_id in ids if frame_id in waiting]
        frame_review.mark(dataset, ids, state=fields.OUT, key=results.key, by=by)

    def on_cleanup(self, results: CvatSkeletonResults) -> None:
        """Let frames that were not pulled wait for a reviewer again."""
        frame_review.recall(source_dataset(results.samples), results.key)

    def highest_shown_track(self, samples: Any, sample_id: str) -> int:
        """Count the tracks of all predictions: another frame of a video may have more people."""
        sample = source_dataset(samples).select(sample_id)
        _, last = sample.bounds(path(sample, f"{self.config.predictions}.keypoints.index"))
        return -1 if last is None else int(last)

    def cleanup(self, samples: Any, key: str) -> None:
        """Forget a run that is deleted: its frames wait for a reviewer again."""
        dataset = source_dataset(samples)
        frame_review.recall(dataset, key)
        drop = (
            dataset.delete_frame_field
            if dataset.media_type == "video"
            else dataset.delete_sample_field
        )
        drop(self.config.label_field, error_level=2)

    def rename(self, samples: Any, key: str, new_key: str) -> None:
        """Let the frames of a run follow when it gets another key."""
        frame_review.rename_key(source_dataset(samples), key, new_key)
