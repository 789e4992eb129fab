"""Where the modules of 0.1.0 have gone, for scripts that still name them.

Importing one of them warns and gives what is in its new places. Public names, such as
`fiftyone_legpose.predict`, have never moved.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

_PACKAGE: Final = "fiftyone_legpose"

FORMER: Final[dict[str, tuple[str, ...]]] = {
    "appearance": ("dataset.appearance",),
    "backends": ("prediction.runtimes", "prediction.raw_poses"),
    "choosing": ("selection.strategies", "dataset.spacing"),
    "comparison": ("evaluation.comparison", "pose.geometry"),
    "corrections": ("review.corrections", "pose.matching", "dataset.pose_table"),
    "cvat_login": ("cvat.login",),
    "decoding": ("videos.decoding",),
    "evaluation_results": ("evaluation.result",),
    "exporting": ("exports.export",),
    "fields": ("dataset.fields",),
    "file_names": ("dataset.file_names",),
    "frame_documents": ("dataset.frames",),
    "label_files": ("cvat.label_files",),
    "label_import": ("review.labels_import",),
    "media": ("videos.probe", "videos.playable_copy", "videos.stills", "videos.ffmpeg", "errors"),
    "metrics": ("evaluation.metrics", "pose.geometry"),
    "poses": ("dataset.keypoint_labels", "dataset.pose_table"),
    "rendering": ("prediction.annotated_video", "pose.drawing"),
    "review_state": ("dataset.frame_review",),
    "signals": ("selection.signals", "selection.review_score"),
    "splits": ("training.splits", "dataset.groups"),
    "still_names": ("cvat.still_names",),
    "swaps": ("pose.side_swaps",),
    "views": ("dataset.checks", "dataset.frames"),
}
"""Modules by their former name, with the modules that hold what they held."""


class FormerPlaces(MetaPathFinder, Loader):
    """Finds a module of 0.1.0 in its new places."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for former names alone."""
        package, _, name = fullname.rpartition(".")
        return ModuleSpec(fullname, self) if package == _PACKAGE and name in FORMER else None

    def exec_module(self, module: ModuleType) -> None:
        """Let a module give what is in its new places."""
        former = module.__name__.rpartition(".")[2]
        homes = [f"{_PACKAGE}.{place}" for place in FORMER[former]]
        warnings.warn(
            f"{module.__name__} is now {' and '.join(homes)}: import from there.",
            DeprecationWarning,
            stacklevel=2,
        )

        def find(name: str) -> Any:
            for home in homes:
                found = getattr(import_module(home), name, None)
                if found is not None:
                    return found
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = find  # type: ignore[method-assign]


def install() -> None:
    """Find former names once, behind everything that is really there."""
    if not any(isinstance(finder, FormerPlaces) for finder in sys.meta_path):
        sys.meta_path.append(FormerPlaces())
