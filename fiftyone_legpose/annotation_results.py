"""Former place of `fiftyone_legpose.cvat.run`: runs that datasets hold name their class here."""

from fiftyone_legpose.cvat.run import CvatSkeletonResults

__all__ = ["CvatSkeletonResults"]
