"""Put the plugin where the FiftyOne App looks for plugins."""

import os
import shutil
from pathlib import Path

from fiftyone_legpose.errors import MissingToolError

NAME = "legpose"
"""Folder of the plugin in FiftyOne's plugins directory."""

_PACKAGE = Path(__file__).resolve().parent


def install() -> Path:
    """Link this package into FiftyOne's plugins directory, or copy it where links are not allowed.

    Running it again changes nothing, or brings a copy up to date.

    Returns
    -------
    Path
        Of the plugin in the plugins directory.

    Raises
    ------
    MissingToolError
        Something else is in the place, or the directory cannot be written.
    """
    import fiftyone as fo

    folder = Path(fo.config.plugins_dir)
    target = folder / NAME
    if target.is_symlink() and target.resolve() == _PACKAGE:
        return target
    if not target.is_symlink() and target.exists() and not (target / "fiftyone.yml").is_file():
        raise MissingToolError(f"{target} is no plugin: move it away, then install again.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(target)
    except OSError as error:
        raise MissingToolError(
            f"The plugin cannot be put into {folder} ({error.strerror}): make that folder "
            "writable, or set FIFTYONE_PLUGINS_DIR to another one."
        ) from None
    return target


def _replace(target: Path) -> None:
    draft = target.with_name(f".{NAME}-{os.getpid()}")
    old = target.with_name(f".{NAME}-old-{os.getpid()}")
    try:
        draft.symlink_to(_PACKAGE, target_is_directory=True)
    except OSError:
        # Windows allows links to administrators and in developer mode alone.
        _copy(draft)
    if target.is_symlink() or not target.exists():
        draft.replace(target)
        return
    target.replace(old)
    draft.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def _copy(target: Path) -> None:
    """Copy what FiftyOne reads: the code itself is imported from the installed package."""
    target.mkdir()
    for name in ("fiftyone.yml", "plugin.py"):
        shutil.copy2(_PACKAGE / name, target / name)
    shutil.copytree(_PACKAGE / "assets", target / "assets", ignore=shutil.ignore_patterns("sample"))
