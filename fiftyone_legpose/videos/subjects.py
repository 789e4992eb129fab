"""Whom a file shows: from its name, a table, or the user's word."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import fiftyone as fo

from cvat_bridge.names import plain_name
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.fields import SOURCE
from fiftyone_legpose.errors import DatasetError

# What a pattern holds and the name of a person does not.
_PATTERN_SIGNS = re.compile(r"[()\[\]\\*+?^$|]")


Subject = str | Path | re.Pattern[str] | Mapping[str, str]


def name_subjects(
    dataset: fo.Dataset, paths: Iterable[Path], subject_of: Callable[[Path], str | None]
) -> None:
    """Note whom files that were loaded before show, where the lookup tells it."""
    told = {str(path): who for path in paths if (who := subject_of(path)) is not None}
    is_known = fo.ViewField(SOURCE).is_in(list(told)) | fo.ViewField("filepath").is_in(list(told))
    view = dataset.match(is_known)
    rows = zip(*view.values([SOURCE, "filepath"]), strict=True)
    view.set_values(fields.SUBJECT, [told.get(source) or told[path] for source, path in rows])


def list_without_subject(dataset: fo.Dataset, paths: Iterable[Path]) -> list[str]:
    """List files of which no subject is known, of those that are in the dataset."""
    rows = zip(*dataset.values([SOURCE, "filepath", fields.SUBJECT]), strict=True)
    unnamed = {name for source, path, who in rows if not who for name in (source, path)}
    return [str(path) for path in paths if str(path) in unnamed]


def tell_unnamed(paths: Sequence[str]) -> str:
    """Say in a line how many files are without a subject."""
    if len(paths) == 1:
        return f"1 file without a subject: {paths[0]}"
    return f"{len(paths)} files without a subject, such as {paths[0]}"


def subject_lookup(subject: Subject | None) -> Callable[[Path], str | None]:
    """Turn what `load` takes as a subject into a function from a file to whom it shows.

    Raises
    ------
    DatasetError
        It is a pattern or a table that cannot be used.
    """
    if subject is None:
        return lambda path: None
    if isinstance(subject, Mapping):
        named = {plain_name(key.replace("\\", "/")): who for key, who in subject.items()}

        def from_table(path: Path) -> str | None:
            # Folders first: files of one name in many folders have a line each.
            whole = [*_levels(path)][::-1]
            keys = [key for text in whole for key in (text, text.removesuffix(path.suffix))]
            found = (_spelled(named.get(plain_name(key)) or "") for key in keys)
            return next((who for who in found if who), None)

        return from_table
    if isinstance(subject, Path) or (isinstance(subject, str) and subject.endswith(".csv")):
        return subject_lookup(_read_subjects(Path(subject)))
    if isinstance(subject, str) and not _PATTERN_SIGNS.search(subject):
        return lambda path: subject
    try:
        pattern = re.compile(subject)
    except re.error as error:
        raise DatasetError(
            f"The subject pattern {subject!r} is no regular expression: {error}."
        ) from None
    if not pattern.groups:
        raise DatasetError(
            f"The subject pattern {pattern.pattern!r} has no group: put the part of the file name "
            r"that is the subject into parentheses, for example (P\d+)."
        )

    def from_name(path: Path) -> str | None:
        # A folder per patient is as common as a name in each file's, with sessions below it.
        for text in _levels(path):
            if (found := pattern.search(_spelled(text))) and found.group(1):
                return found.group(1)
        return None

    return from_name


def _levels(path: Path) -> Iterator[str]:
    """Give the file's name, then with its folder, and so on up to the whole path."""
    parts = path.parts[1:] if path.is_absolute() else path.parts
    for start in reversed(range(len(parts))):
        yield "/".join(parts[start:])


def _spelled(name: str) -> str:
    """Write a name in the one way that names are compared in.

    macOS takes umlauts apart in file names, and nobody sees a space at the end of a table's cell.
    """
    return unicodedata.normalize("NFC", name).strip()


def _read_subjects(path: Path) -> dict[str, str]:
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"The subject table {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DatasetError(
            f"The subject table {path} is not in UTF-8: save it as 'CSV UTF-8', as spreadsheets "
            "call it."
        ) from None
    # Excel separates by semicolons where numbers have a decimal comma, and calls it CSV too.
    delimiter = max(",;\t", key=text.strip().partition("\n")[0].count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    columns = [column.strip() for column in rows[0]] if rows else []
    if rows and not {"file", "subject"} <= set(columns):
        raise DatasetError(
            f"The subject table {path} needs the columns 'file' and 'subject', it has "
            f"{', '.join(map(repr, columns))}."
        )
    cells = [dict(zip(columns, row, strict=False)) for row in rows[1:]]
    return {row["file"]: row.get("subject", "") for row in cells if "file" in row}
