"""A FiftyOne App with the plugin in it, and a browser before it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import pytest
from fiftyone.constants import SERVER_DIR

from fiftyone_legpose.plugin_install import install
from tests.app.page import AppPage

_STARTS_WITHIN_S = 120

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
    install()
    dataset = fo.Dataset(dataset_name, persistent=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The server without a session of Python's: a session sets the page back to its own dataset
    # whenever it connects, seconds after the start on a slow machine.
    command = [sys.executable, "main.py", "--port", str(port), "--address", "127.0.0.1"]
    server = subprocess.Popen(command, cwd=SERVER_DIR)
    try:
        _wait_for(f"http://127.0.0.1:{port}/")
        page = AppPage(browser, f"http://127.0.0.1:{port}", dataset.name, pictures)
        yield page
        page.picture("last")
        page.close()
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
