"""The App's server with the plugin in it, on a dataset of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fiftyone as fo
from fiftyone.constants import SERVER_DIR

from fiftyone_legpose.plugin_install import install

_STARTS_WITHIN_S = 300


@contextmanager
def serve(dataset: str, home: Path | None = None) -> Iterator[str]:
    """Make an empty dataset and serve the App; gives its address.

    Parameters
    ----------
    dataset
        Its name.
    home
        What the server takes for the user's home folder.
    """
    install()
    fo.Dataset(dataset, persistent=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The server without a session of Python's: a session sets the page back to its own dataset
    # whenever it connects, seconds after the start on a slow machine.
    command = [sys.executable, "main.py", "--port", str(port), "--address", "127.0.0.1"]
    environment = {**os.environ, **({} if home is None else {"HOME": str(home)})}
    server = subprocess.Popen(command, cwd=SERVER_DIR, env=environment)
    try:
        _wait_for(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}"
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
