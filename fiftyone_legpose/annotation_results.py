"""Former place of `fiftyone_legpose.cvat.results`: datasets name the class of runs by this path."""

from fiftyone_legpose.cvat.results import CvatSkeletonResults

__all__ = ["CvatSkeletonResults"]
