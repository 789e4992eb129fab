"""A FiftyOne App with the plugin in it, and a browser before it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.page import AppPage
from tests.app.serving import serve

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium: the system's, else the one that playwright installs."""
    from playwright.sync_api import Error, sync_playwright

    found = next((p for n in ("chromium", "chromium-browser") if (p := shutil.which(n))), None)
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        except Error as error:
            if os.environ.get("CI") == "true":
                raise
            reason = str(error).splitlines()[0]
            pytest.skip(f"no Chromium (apt-get install chromium, or playwright install): {reason}")
        yield started
        started.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go; they stay where LEGPOSE_SCREENSHOTS says."""
    folder = Path(os.environ.get("LEGPOSE_SCREENSHOTS") or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def app(browser, dataset_name: str, pictures: Path) -> Iterator[AppPage]:
    """The App on an empty dataset, as after "New dataset"."""
    with serve(dataset_name) as address:
        page = AppPage(browser, address, dataset_name, pictures)
        yield page
        page.picture("last")
        page.close()
