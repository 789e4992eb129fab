"""Names that look alike: one name as several systems write it."""

import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

_NOT_ON_WINDOWS = re.compile(r'[\x00-\x1f\x7f<>:"|?*]+')
_BLANKS = re.compile(r"^\s+|\s+$|\s+(?=\.[^.]*$)")
"""At the beginning, at the end, and before a suffix."""


def plain_name(name: str) -> str:
    """Write a name, or a path with slashes, in the one way that look-alikes share.

    macOS takes umlauts apart (NFD), its disks and those of Windows ignore case, Windows has _ for
    signs that it does not take, web forms write a blank as %20, and spreadsheets and old systems
    put blanks at the end.

    Examples
    --------
    >>> plain_name("Walk%2001 ") == plain_name("walk 01")
    True
    """
    spelled = _NOT_ON_WINDOWS.sub("_", unicodedata.normalize("NFC", unquote(name)))
    parts = spelled.casefold().split("/")
    return "/".join(_BLANKS.sub("", part) for part in parts)


def is_utf8(path: str | Path) -> bool:
    """Tell whether a path can be written as text; Python lets bytes of other encodings through."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str | Path) -> str:
    """Write a path so that every terminal and database takes it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
