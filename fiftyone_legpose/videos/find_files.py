"""Which files are meant: files, folders and patterns."""

import glob
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cvat_bridge.names import is_utf8, plain_name, printable

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mts", ".m2ts", ".ts", ".wmv", ".asf"}
    | {".3gp", ".3g2", ".mpg", ".mpeg", ".m2v", ".vob", ".mod", ".dv", ".mxf", ".flv", ".ogv"}
)


IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


UNREAD_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".gif", ".dng", ".cr2", ".nef", ".arw"})
"""Pictures as phones and cameras write them, which neither Pillow nor OpenCV is sure to read."""

Sources = str | Path | Iterable[str | Path]


def find_files(sources: Sources) -> tuple[list[Path], list[Path], list[dict[str, str]]]:
    """Expand sources into videos, images and skipped files, each once, in a stable order."""
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    videos: dict[str, Path] = {}
    images: dict[str, Path] = {}
    skipped: list[dict[str, str]] = []
    for source in given:
        path = Path(source).expanduser()
        if path.is_dir():
            chosen, unread = _media_in(path)
            skipped += unread
            if not chosen and not unread:
                skipped.append(skip_file(path, "the folder holds no videos and no images"))
        elif path.exists():
            chosen, unread = _media_in(path)
            skipped += unread
            if not chosen and not unread:
                skipped.append(
                    skip_file(path, f"{path.suffix or 'no suffix'} is no video or image")
                )
        else:
            matches = sorted(Path(p) for p in glob.glob(str(path), recursive=True))
            parts = [_media_in(match) for match in matches]
            chosen = [file for files, _ in parts for file in files]
            unread = [item for _, items in parts for item in items]
            skipped += unread
            if not chosen and not unread:
                reason = (
                    "no video and no image is called so" if matches else "there is no such file"
                )
                skipped.append(skip_file(path, reason))
        for file in chosen:
            if file.suffix.lower() in VIDEO_SUFFIXES:
                videos.setdefault(file_identity(file), _absolute(file))
            elif file.suffix.lower() in IMAGE_SUFFIXES:
                images.setdefault(file_identity(file), _absolute(file))
    return _without_aliases(videos), _without_aliases(images), skipped


def _without_aliases(files: Mapping[str, Path]) -> list[Path]:
    """Leave out links to other files among these, such as a ``latest.mp4``."""
    targets = {name: str(path.resolve()) for name, path in files.items()}
    return [files[name] for name, to in targets.items() if to == name or to not in files]


def file_identity(path: Path) -> str:
    """Give what two ways to the same file have in common: its own name, in its real folder.

    A link counts by its own name. git-annex, DataLad and DVC keep large files in a store that knows
    neither names nor patients.
    """
    return str(path.parent.resolve() / path.name)


def as_stored(paths: Iterable[Path], stored: Iterable[str]) -> list[Path]:
    """Write the path of each known file as the dataset has it, whatever way led to it now."""
    by_identity: dict[str, list[str]] = defaultdict(list)
    for known in stored:
        by_identity[plain_name(file_identity(Path(known)))].append(known)

    def find(path: Path) -> Path:
        # Links used to be stored as what they lead to.
        for way in (Path(file_identity(path)), path.resolve()):
            alike = by_identity[plain_name(str(way))]
            same = (known for known in alike if _is_same(Path(known), way))
            if (found := next(same, None)) is not None:
                return Path(found)
        return path

    return [find(path) for path in paths]


def _is_same(known: Path, path: Path) -> bool:
    """Tell whether two paths of one spelling are one file, as on a disk that ignores case."""
    if file_identity(known) == str(path):
        return True
    with suppress(OSError):
        return known.samefile(path)
    return False


def _absolute(path: Path) -> Path:
    return Path(file_identity(path)) if ".." in path.parts else path.absolute()


def _media_in(path: Path) -> tuple[list[Path], list[dict[str, str]]]:
    """List the videos and images of a folder and all below it, or the file itself if it is one.

    What cannot be used comes second, as skipped: whoever has it expects it to be there.
    """
    files = [path]
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file() or p.is_symlink())
        files = [file for file in inside if not file.name.startswith(".")]
    known = VIDEO_SUFFIXES | IMAGE_SUFFIXES | UNREAD_SUFFIXES
    reasons = {file: _obstacle(file) for file in files if file.suffix.lower() in known}
    unread = [skip_file(file, reason) for file, reason in reasons.items() if reason]
    return [file for file, reason in reasons.items() if reason is None], unread


def _obstacle(file: Path) -> str | None:
    """Say why a video or picture cannot be used, as far as its name tells."""
    if file.suffix.lower() in UNREAD_SUFFIXES:
        return f"{file.suffix} pictures are not read: save it as JPEG or PNG"
    if not is_utf8(file):
        return "its name is not in UTF-8, as from an old disk or zip: rename it"
    if file.is_symlink() and not file.exists():
        return "it is a link whose content is not here: fetch that first, as by `git annex get`"
    return None


def skip_file(path: Path, reason: str) -> dict[str, str]:
    """Note that a file was not used, and why."""
    return {"path": printable(path), "reason": reason}


def nothing_loaded(sources: Sources, skipped: list[dict[str, str]]) -> str:
    """Say that no file could be used, with the reason for each."""
    lines = [f"  {item['path']}: {item['reason']}" for item in skipped]
    return (
        "Nothing could be loaded. Give video files, folders or globs "
        "(mp4, mov, avi, mkv, webm, mts, wmv, 3gp, mpg and more) or folders of images.\n"
        + "\n".join(lines or [printable(str(sources))])
    )
