"""Checkpoint files before they are opened: what they are and whether they are known."""

import zipfile
from importlib.resources import files
from pathlib import Path

from fiftyone_legpose.errors import WeightsError
from fiftyone_legpose.files import file_sha256

NAME = "legpose-yolov8n"
"""Zoo name of the shipped weights and of the family of versions trained from them."""

SHIPPED_FILE = f"{NAME}.pt"
CHECKSUMS_FILE = "SHA256SUMS"


def check_checkpoint(path: Path) -> str:
    """Check that a file is a PyTorch checkpoint, without opening the pickle in it.

    Parameters
    ----------
    path
        A file of any origin.

    Returns
    -------
    str
        Its sha256 in hexadecimal.

    Raises
    ------
    WeightsError
        If there is no such file, or it is no checkpoint that can be trained further.
    """
    if not path.is_file():
        raise WeightsError(f"No weights at {path}: check the path.")
    if path.suffix != ".pt":
        raise WeightsError(f"{path} is no checkpoint: PyTorch weights end in .pt.")
    if "'" in str(path.resolve()):
        # Ultralytics strips quotes from paths and then tries to download what it cannot find.
        raise WeightsError(f"{path} has a ' in its path, which ultralytics cannot open: copy it.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.rpartition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError) as error:
        raise WeightsError(
            f"{path} is no checkpoint: {error}. Download or copy it again."
        ) from None
    if "data.pkl" not in members:
        raise WeightsError(f"{path} is no checkpoint: it is a zip file of something else.")
    if "constants.pkl" in members:
        raise WeightsError(
            f"{path} is an exported TorchScript model, no checkpoint: give the .pt file it was "
            "exported from."
        )
    return file_sha256(path)


def shipped_checkpoint() -> Path:
    """Find the weights that come with the package.

    Returns
    -------
    Path

    Raises
    ------
    WeightsError
        If the installation lacks them.
    """
    for folder in _shipped_folders():
        if (folder / SHIPPED_FILE).is_file():
            return folder / SHIPPED_FILE
    raise WeightsError(
        f"The shipped weights {SHIPPED_FILE} are missing: install the package again, or give "
        "the path of other weights."
    )


def shipped_sha256() -> str:
    """Read the published sha256 of the shipped weights.

    Raises
    ------
    WeightsError
        If the installation lacks it.
    """
    for folder in _shipped_folders():
        if (folder / CHECKSUMS_FILE).is_file():
            for line in (folder / CHECKSUMS_FILE).read_text().splitlines():
                digest, _, name = line.partition(" ")
                if name.strip().lstrip("*") == SHIPPED_FILE:
                    return digest.lower()
    raise WeightsError(f"{CHECKSUMS_FILE} names no {SHIPPED_FILE}: install the package again.")


def _shipped_folders() -> list[Path]:
    """List where the folder of shipped weights can be: in the package, or in a source tree."""
    folders = [Path(__file__).parents[2] / "weights"]
    try:
        packaged = files("fiftyone_legpose.weights")
    except ModuleNotFoundError:
        return folders
    # A folder without __init__.py is a namespace package: its files are reached by name.
    return [Path(str(packaged.joinpath(CHECKSUMS_FILE))).parent, *folders]
