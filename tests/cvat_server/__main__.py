"""Run the stand-in by hand: python -m tests.cvat_server --port 8080."""

import argparse
import threading

from tests.cvat_server.server import CvatServer

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, default=8080)
arguments = parser.parse_args()
with CvatServer(port=arguments.port) as server:
    print(
        f"CVAT stand-in at {server.url}, user {server.user!r}, password {server.password!r}",
        flush=True,
    )
    print(f"access token {server.token!r}; Ctrl-C ends it and forgets everything", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()
