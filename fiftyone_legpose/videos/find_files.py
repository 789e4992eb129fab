"""Which files are meant: files, folders and patterns."""

import glob
from collections.abc import Iterable
from pathlib import Path

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
    videos: dict[Path, None] = {}
    images: dict[Path, None] = {}
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
                videos[file.resolve()] = None
            elif file.suffix.lower() in IMAGE_SUFFIXES:
                images[file.resolve()] = None
    return list(videos), list(images), skipped


def _media_in(path: Path) -> tuple[list[Path], list[dict[str, str]]]:
    """List the videos and images of a folder and all below it, or the file itself if it is one.

    Pictures of other types come second, as skipped: whoever has them expects them to be there.
    """
    files = [path]
    if path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.is_file())
        files = [file for file in inside if not file.name.startswith(".")]
    unread = [
        skip_file(file, f"{file.suffix} pictures are not read: save it as JPEG or PNG")
        for file in files
        if file.suffix.lower() in UNREAD_SUFFIXES
    ]
    return [file for file in files if _suffix(file)], unread


def _suffix(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES


def skip_file(path: Path, reason: str) -> dict[str, str]:
    """Note that a file was not used, and why."""
    return {"path": str(path), "reason": reason}


def nothing_loaded(sources: Sources, skipped: list[dict[str, str]]) -> str:
    """Say that no file could be used, with the reason for each."""
    lines = [f"  {item['path']}: {item['reason']}" for item in skipped]
    return (
        "Nothing could be loaded. Give video files, folders or globs "
        "(mp4, mov, avi, mkv, webm, mts, wmv, 3gp, mpg and more) or folders of images.\n"
        + "\n".join(lines or [str(sources)])
    )
