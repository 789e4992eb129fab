"""Former place of `fiftyone_legpose.cvat.backend`: datasets name the class of runs by this path."""

from fiftyone_legpose.cvat.backend import CvatSkeletonBackend, CvatSkeletonBackendConfig

__all__ = ["CvatSkeletonBackend", "CvatSkeletonBackendConfig"]
