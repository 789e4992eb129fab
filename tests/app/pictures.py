"""Take the pictures of README.md and docs/app.md anew, after the weights or the App have changed.

    python -m pytest tests/app/pictures.py

A person's clicks with the sample clip, in a window wide enough for every button. pytest finds this
file only by its name. Look at every picture afterwards.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import pytest
from PIL import Image

import fiftyone_legpose
from fiftyone_legpose.dataset import fields
from fiftyone_legpose.zoo.registry import SHIPPED
from tests.app.page import AppPage
from tests.app.reviewer import correct
from tests.app.serving import serve

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
EMPTY = "first"
DATASET = "clinic"
WINDOW = (1600, 1000)
TALL_PX = 1250
"""Of the window that shows all of a comparison."""
MOST_BYTES = 300_000

pytestmark = pytest.mark.browser


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder whose path, which forms and results show, could be anybody's."""
    folder = Path(tempfile.gettempdir()) / DATASET
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def clinic(browser, home: Path, pictures: Path) -> Iterator[AppPage]:
    with serve(EMPTY, home) as address:
        page = AppPage(browser, address, EMPTY, pictures, WINDOW)
        yield page
        page.picture("last")
        page.close()


def test_pictures(clinic, home, sample_clip, sample_labels):
    app = clinic
    (home / "videos").mkdir()
    shutil.copy(sample_clip, home / "videos" / "P01_walk.mp4")
    app.open_first_form("Load videos")
    app.fill("Folder or video", "~/videos")
    app.fill("Dataset", DATASET)
    app.fill("Subject", r"(P\d+)")
    keep(app, "load", app.form_window("Load"))
    app.submit("Load", opens=DATASET)

    app.wait_for_panel()
    app.press("Predict leg keypoints")
    app.switch("Average everything that the model says of a person")
    app.switch("Look at every frame mirrored too")
    keep(app, "predict", app.form_window("Predict"))
    app.submit("Predict", within_s=600)
    app.open_video()
    app.page.wait_for_timeout(2000)
    keep(app, "video", app.player)
    app.close_video()

    app.press("Select frames")
    app.fill("Frames", 24)
    keep(app, "select", app.form_window("Select"))
    app.submit("Select", within_s=300)

    app.press("Push to CVAT")
    keep(app, "push", app.form_window("Push"))
    app.submit("Push", within_s=300)

    dataset = fo.load_dataset(DATASET)
    dataset.reload()
    [handover] = (home / "legpose").glob("round1-*.zip")
    (home / "Downloads").mkdir()
    correct(dataset, handover, sample_labels, home / "Downloads" / "round1_corrected.zip")
    app.press("Pull corrections")
    app.fill("File that CVAT exported", "~/Downloads/round1_corrected.zip")
    keep(app, "pull", app.form_window("Pull"))
    app.submit("Pull", within_s=300)

    # Few epochs on one half of the frames; the evaluation takes the other half. Of one video: there
    # is something to compare, not to boast of.
    fiftyone_legpose.train(
        dataset,
        name="round1",
        base=SHIPPED,
        epochs=3,
        val=0.5,
        allow_shared_subjects=True,
        progress=False,
    )
    app.press("Evaluate")
    keep(app, "evaluate", app.form_window("Evaluate"))
    app.submit("Evaluate", within_s=600)
    app.panel.locator(".js-plotly-plot .bars").first.wait_for()
    app.page.set_viewport_size({"width": WINDOW[0], "height": TALL_PX})
    app.page.wait_for_timeout(3000)
    keep(app, "comparison", app.panel)
    app.page.set_viewport_size({"width": WINDOW[0], "height": WINDOW[1]})

    # Last, because a video with a panel beside it does not close by a key.
    app.open_video()
    app.put_panel_beside_video()
    app.click_curve("confidence", corrected_frame(dataset))
    app.page.mouse.move(0, 0)
    app.modal.get_by_text("Buffering").wait_for(state="hidden")
    app.page.wait_for_timeout(3000)
    keep(app, "timeline", app.modal)
    assert app.errors == []


def keep(app: AppPage, name: str, part: object) -> None:
    """Take a picture and reduce it to the colours that it needs."""
    taken = app.picture(name, part)
    target = PICTURES / f"app-{name}.png"
    with Image.open(taken) as picture:
        # The octree keeps colours of few px, such as the keypoints have; the median cut does not.
        small = picture.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE)
        small.save(target, optimize=True)
    assert target.stat().st_size < MOST_BYTES, target


def corrected_frame(dataset: fo.Dataset) -> int:
    """Give the number of a corrected frame in the middle of the video."""
    looked_at = fo.ViewField(fields.GROUND_TRUTH) != None  # noqa: E711 - a FiftyOne expression
    numbers = dataset.match_frames(looked_at).values("frames.frame_number", unwind=True)
    return numbers[len(numbers) // 2]
