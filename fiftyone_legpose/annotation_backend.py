"""Former place of `fiftyone_legpose.cvat.backend`: runs that datasets hold name their class here."""

from fiftyone_legpose.cvat.backend import CvatSkeletonBackend, CvatSkeletonBackendConfig

__all__ = ["CvatSkeletonBackend", "CvatSkeletonBackendConfig"]
