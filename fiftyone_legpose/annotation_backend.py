"""Former place of `fiftyone_legpose.cvat.backend`: datasets name the class of runs by this path."""

from typing import Any

from fiftyone_legpose.cvat import backend
from fiftyone_legpose.review.backend import ReviewBackendConfig

CvatSkeletonBackend = backend.CvatSkeletonBackend


class CvatSkeletonBackendConfig(backend.CvatSkeletonBackendConfig):
    """Makes the configuration that a stored run needs today: of a push, or of any other run."""

    def __new__(cls, *args: Any, predictions: str | None = None, **settings: Any) -> Any:
        """Tell pushes, which were stored with the field of their predictions, from the others."""
        if predictions is not None:
            return ReviewBackendConfig(*args, predictions=predictions, **settings)
        return backend.CvatSkeletonBackendConfig(*args, **settings)


__all__ = ["CvatSkeletonBackend", "CvatSkeletonBackendConfig"]
