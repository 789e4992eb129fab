"""Skeletons in CVAT for any keypoint model: labels, poses, tasks, exports and backups.

Knows neither FiftyOne nor torch. The names below are imported when they are first used, so that
``import cvat_bridge`` is fast and asks for no CVAT SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvat_bridge.connecting import connect as connect
    from cvat_bridge.errors import CvatError as CvatError
    from cvat_bridge.poses import Pose as Pose
    from cvat_bridge.server import Server as Server
    from cvat_bridge.skeleton import Skeleton as Skeleton
    from cvat_bridge.skeleton import SkeletonLabel as SkeletonLabel

_HOMES = {
    "CvatError": "errors",
    "Pose": "poses",
    "Server": "server",
    "Skeleton": "skeleton",
    "SkeletonLabel": "skeleton",
    "connect": "connecting",
}

__all__ = ["CvatError", "Pose", "Server", "Skeleton", "SkeletonLabel", "connect"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
