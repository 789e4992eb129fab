"""Ship a checkpoint: half precision, no optimizer, nothing of the machine that trained it."""

import hashlib
from pathlib import Path
from typing import Any

from fiftyone_legpose import legs

WEIGHTS = Path(__file__).parents[1] / "legpose-yolov8n.pt"
SUMS_NAME = "SHA256SUMS"
MAX_BYTES = 8_000_000

# Settings that say where and on what somebody trained, not how.
_LOCAL_SETTINGS = frozenset(
    {
        "model",
        "data",
        "project",
        "name",
        "save_dir",
        "cfg",
        "device",
        "workers",
        "resume",
        "tracker",
    }
)


def ship(checkpoint: str | Path, target: str | Path = WEIGHTS, *, imgsz: int) -> str:
    """Write a checkpoint as weights that can be handed to anybody.

    Parameters
    ----------
    checkpoint : path
        What Ultralytics left behind (``last.pt`` or ``best.pt``); its EMA weights are shipped.
    target : path
        The file to write; ``SHA256SUMS`` beside it is rewritten.
    imgsz : int
        Long side in px that ``predict`` uses when nobody says otherwise.

    Returns
    -------
    str
        sha256 of the file.

    Raises
    ------
    ValueError
        If the checkpoint does not hold ten leg keypoints of (x, y, confidence), or the file
        would be larger than `MAX_BYTES`.
    """
    import torch
    from ultralytics.utils.torch_utils import strip_optimizer

    target = Path(target)
    temporary = target.with_name(f"{target.stem}.part.pt")  # Ultralytics loads *.pt only
    try:
        stripped = strip_optimizer(checkpoint, s=str(temporary))
        if not stripped:
            raise ValueError(
                f"{checkpoint} is no Ultralytics checkpoint; name a last.pt or best.pt"
            )
        # Stripping fills in Ultralytics' defaults, which nobody trained with.
        said = torch.load(checkpoint, map_location="cpu", weights_only=False)["train_args"]
        torch.save(_without_traces(stripped, said, imgsz), temporary)
        _check(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return write_sums(target.parent)


def write_sums(folder: Path) -> str:
    """Rewrite ``SHA256SUMS`` for the weights in a folder and return the last file's sum."""
    sums = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.pt"))
    }
    lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    (folder / SUMS_NAME).write_text(lines)
    return list(sums.values())[-1]


def _without_traces(
    checkpoint: dict[str, Any], train_args: dict[str, Any], imgsz: int
) -> dict[str, Any]:
    """Keep the settings that matter and drop paths, curves and times of the training machine."""
    settings = {k: v for k, v in train_args.items() if k not in _LOCAL_SETTINGS}
    settings["imgsz"] = imgsz
    model = checkpoint["model"]
    model.args = settings
    model.names = {0: "legs"}
    model.kpt_names = {0: list(legs.KEYPOINTS)}
    model.pt_path = None
    kept = {k: checkpoint[k] for k in ("date", "version", "license", "docs")}
    # The other keys that Ultralytics looks up when it loads or resumes.
    absent: dict[str, None] = dict.fromkeys(("ema", "optimizer", "updates", "best_fitness"))
    return {**kept, **absent, "epoch": -1, "model": model, "train_args": settings}


def _check(path: Path) -> None:
    from ultralytics import YOLO

    model: Any = YOLO(path).model
    shape = list(model.kpt_shape)
    if shape != [len(legs.KEYPOINTS), 3]:
        raise ValueError(f"the checkpoint predicts {shape}, the skeleton has [10, 3]")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.stat().st_size} bytes are more than {MAX_BYTES}")
