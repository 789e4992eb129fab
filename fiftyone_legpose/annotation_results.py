"""Former place of `fiftyone_legpose.cvat.run`: datasets name the class of a run by this path."""

from fiftyone_legpose.cvat.run import CvatSkeletonResults

__all__ = ["CvatSkeletonResults"]
