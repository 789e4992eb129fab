"""A stand-in for a CVAT 2.54 server that the real cvat-sdk talks to over HTTP.

It answers as the recorded server did, its traps included; test_stand_in.py compares it with the
recordings and the OpenAPI schema. `python -m tests.cvat_server --port 8080` runs it by hand.
"""

from tests.cvat_server.server import CvatServer, Fault

__all__ = ["CvatServer", "Fault"]
