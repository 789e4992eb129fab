"""demo: once around the loop with the sample clip, up to the hand-over file for CVAT."""

import os
import sys
import time
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryFile

import fiftyone as fo
from rich.console import Console
from rich.table import Table

from fiftyone_legpose.dataset import fields
from fiftyone_legpose.dataset.fields import SOURCE
from fiftyone_legpose.files import writing
from fiftyone_legpose.operators.forms import SAMPLE_DATASET
from fiftyone_legpose.plugin_install import install
from fiftyone_legpose.prediction.predict import predict
from fiftyone_legpose.review.handover import handover_name
from fiftyone_legpose.review.push import push
from fiftyone_legpose.selection.select import select
from fiftyone_legpose.videos.load import load

DATASET = SAMPLE_DATASET
KEY = "demo"
FRAMES_TO_CORRECT = 8


def run_demo(out: Path, *, open_app: bool) -> None:
    """Load the sample clip, predict, select, write the hand-over file, and say what comes next.

    The plugin is installed as well, so that the App has its buttons whenever it is opened.

    Parameters
    ----------
    out
        Folder for the hand-over file and the annotated video; where nothing can be written there,
        as in a project that another user has run, the folder ``legpose/demo`` of the home.
    open_app
        Whether to open the App at the end, where there is a screen.
    """
    started = time.perf_counter()
    out = _writable(out)
    with as_file(files("fiftyone_legpose") / "assets" / "sample" / "legs_sample.mp4") as clip:
        dataset = load_clip(clip)
    # Named by the dataset: the file of one that was deleted may be with a reviewer.
    handover = out / f"{handover_name(dataset, KEY)}.zip"
    summary = predict(dataset, save_video=out)
    if dataset.has_annotation_run(KEY):
        # What was selected since is for another round.
        push(dataset.load_annotation_view(KEY), KEY, backup=handover)
    else:
        select(dataset, count=FRAMES_TO_CORRECT)
        push(dataset, KEY, backup=handover)
    install()
    _print_table(dataset, summary.mean_confidence, time.perf_counter() - started)
    _print_next(out, handover)
    if open_app and _has_screen():
        fo.launch_app(dataset).wait(-1)


def _writable(out: Path) -> Path:
    """Give the folder to write to, made where it was missing."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            return out
    except OSError as error:
        home = Path.home() / "legpose" / "demo"
        reason = f"{out} cannot be written ({error.strerror}): the files go to {home}."
        Console().print(reason, soft_wrap=True)
        with writing(home):
            home.mkdir(parents=True, exist_ok=True)
        return home


def load_clip(clip: Path) -> fo.Dataset:
    """Load the sample clip, or point to it where the demo ran in another copy of the project."""
    if fo.dataset_exists(DATASET):
        dataset = fo.load_dataset(DATASET)
        paths = dataset.values("filepath")
        moved = [path for path in paths if Path(path).name == clip.name]
        if moved and str(clip.resolve()) not in moved:
            view = dataset.match(fo.ViewField("filepath").is_in(moved))
            for field in (SOURCE, "filepath"):  # the view finds the clip by the last
                view.set_values(field, [str(clip.resolve())] * len(moved))
    return load(clip, DATASET, subject="sample")


def _print_table(dataset: fo.Dataset, mean_confidence: float | None, seconds: float) -> None:
    people = dataset.count(f"frames.{fields.PREDICTIONS}.keypoints")
    states = dataset.count_values(f"frames.{fields.REVIEW}.state")
    if mean_confidence is None:
        values = dataset.values(f"frames.{fields.PREDICTIONS}.keypoints.confidence", unwind=True)
        flat = [c for row in values for c in (row if isinstance(row, list) else [row])]
        mean_confidence = sum(flat) / len(flat) if flat else 0.0
    table = Table(title=f"Dataset {DATASET}")
    for column in ("frames", "people found", "mean confidence", "selected frames", "seconds"):
        table.add_column(column, justify="right")
    selected = states.get(fields.SELECTED, 0) + states.get(fields.OUT, 0)
    table.add_row(
        str(dataset.count("frames")),
        str(people),
        f"{mean_confidence:.2f}",
        str(selected),
        f"{seconds:.1f}",
    )
    Console().print(table)


def _print_next(out: Path, handover: Path) -> None:
    script = os.path.relpath(sys.argv[0])
    command = "legpose" if script.startswith("..") else script
    Console().print(
        f"Annotated video: {next(out.glob('*_legpose.mp4'), out)}\n"
        f"For CVAT: {handover} (there: Tasks > + > Create from backup)\n\n"
        "Next, type:\n"
        f"  {command} app {DATASET}                          # look at it\n"
        f"  {command} pull {DATASET} {KEY} --export EXPORT.zip     # the task, exported from CVAT\n"
        f"  {command} train {DATASET} --name round1 --allow-shared-subjects  # better weights\n"
        f"  {command} load YOUR_VIDEOS --dataset clinic       # your own",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
