"""What a backend that builds on `cvat-skeleton` adds to it: each step does nothing here."""

from typing import Any

from cvat_bridge.server import Server
from cvat_bridge.skeleton import Skeleton
from cvat_bridge.tasks import Project
from fiftyone_legpose.cvat.results import CvatSkeletonResults


class RunHooks:
    """Steps of a run that a subclass of the backend overrides, such as `review.backend`."""

    known_skeletons: tuple[Skeleton, ...] = ()
    """Skeletons with a drawing of their own, taken where a field has their very keypoints."""

    def project_name(self, skeleton: Skeleton) -> str:
        """Name the CVAT project where nobody does; a dataset's name can tell whom it shows."""
        return f"legpose-{skeleton.name}"

    def on_project(self, server: Server, project: Project) -> None:
        """Do what a project needs before frames go there; nothing here."""

    def on_sent(
        self,
        results: CvatSkeletonResults,
        frames: range,
        *,
        by: str | None = None,
        known: bool = False,
    ) -> None:
        """Do what follows when frames have been sent; nothing here.

        Parameters
        ----------
        results
            Of the run, saved with these frames.
        frames
            Their positions in the run.
        by
            The account that sent them.
        known
            They had been sent before a push was broken off, and this call found them again.
        """

    def on_cleanup(self, results: CvatSkeletonResults) -> None:
        """Do what follows when the tasks of a run were deleted in CVAT; nothing here."""

    def highest_shown_track(self, samples: Any, sample_id: str) -> int:
        """Tell the highest track number of a sample that the run's own people do not have."""
        return -1
