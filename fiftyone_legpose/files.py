"""Files on disk: written whole or not at all, and known by their sum."""

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Compute a file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
