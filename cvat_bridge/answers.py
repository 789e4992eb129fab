"""What an answer of a server, or the lack of one, means: the errors and their words."""

import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from cvat_bridge.errors import (
    AddressError,
    BusyError,
    LoginError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
    ServerError,
    ServerTroubleError,
    TlsError,
)


class RunningError(BusyError):
    """409: the same export or import is running."""

    def __init__(self, message: str, request_id: str) -> None:
        super().__init__(message)
        self.request_id = request_id


class OverloadedError(ServerTroubleError):
    """Something before the server answered in its place (`OVERLOADED`): it may still be at work."""


OVERLOADED = (429, 502, 503, 504)
"""Answers of an overloaded or restarting server. 500 is not one: CVAT's own come again."""


def unreachable(url: str, error: Exception, doing: str) -> ServerError:
    """Return the error for a connection that failed; `doing` begins its message."""
    import urllib3

    cause = getattr(error, "reason", None) or error
    text = f"{type(cause).__name__} {cause}"
    if isinstance(cause, urllib3.exceptions.SSLError) or "SSL" in text:
        if "WRONG_VERSION_NUMBER" in text or "record layer" in text:
            return TlsError(
                f"{doing}: {url} does not speak TLS; write the address with http:// if this "
                "server really has no https."
            )
        return TlsError(
            f"{doing}: the certificate of {url} is not trusted; give the certificate of your "
            "institution as ca_file."
        )
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return AddressError(f"{doing}: the name in {url} does not resolve; check its spelling.")
    if isinstance(
        cause, urllib3.exceptions.ConnectTimeoutError | urllib3.exceptions.NewConnectionError
    ):
        return AddressError(
            f"{doing}: nobody listens at {url}; check address and port, and whether CVAT runs."
        )
    return AddressError(
        f"{doing}: the connection to {url} broke ({type(cause).__name__}); run this again, it "
        "goes on where it stopped."
    )


def refusal(response: Any, doing: str, url: str) -> ServerError:
    """Return the error for an answer, or an exception of cvat-sdk, with a status that is no 2xx."""
    status = int(response.status)
    raw = response.body if hasattr(response, "body") else response.data
    reason = _detail(raw)
    if 300 <= status < 400:
        # Not followed: the login would go along, perhaps to another host or over plain http.
        target = urlsplit(str(response.headers.get("Location") or ""))
        shown = f"{target.scheme}://{target.netloc}" if target.netloc else "another address"
        return AddressError(f"{doing}: {url} sends on to {shown}; write that address instead.")
    if status == 401:
        return LoginError(
            f"{doing}: {url} does not accept the login; the access token may be wrong or expired."
        )
    if status == 403:
        return PermissionDeniedError(
            f"{doing}: this account may not do that ({reason}); ask the owner of the project, or "
            "use an access token that may write."
        )
    if status == 404:
        return NotFoundError(f"{doing}: not found ({reason}); it may be deleted or not shared.")
    if status == 409:
        return _running(raw, doing)
    if status >= 500 or status == 429:
        kind = OverloadedError if status in OVERLOADED else ServerTroubleError
        return kind(
            f"{doing}: the server failed (HTTP {status}); run this again, and if it fails again "
            "look into the server's log."
        )
    return RejectedError(f"{doing}: the server refused it (HTTP {status}: {reason}).")


def _running(raw: Any, doing: str) -> BusyError:
    try:
        request_id = json.loads(raw)["rq_id"]
    except (ValueError, KeyError, TypeError):
        return BusyError(f"{doing}: the server is busy with the same work; run this again later.")
    return RunningError(f"{doing}: the same work is running already.", str(request_id))


def _detail(raw: Any) -> str:
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw or "")
    with suppress(ValueError):
        parsed = json.loads(text)
        if isinstance(parsed, dict) and "detail" in parsed:
            return _short(str(parsed["detail"]))
        return _short(json.dumps(parsed, ensure_ascii=False))
    return "no reason given" if "<" in text or not text else _short(text)


def failure_reason(message: Any) -> str:
    """Return the last line of a background request's message, which is often a traceback."""
    lines = [line.strip() for line in str(message or "").splitlines() if line.strip()]
    return _short(lines[-1]).rstrip(".") if lines else "it gave no reason"


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:297] + "..."
