"""One HTTP conversation with a CVAT server, through cvat-sdk's client: requests, waits, errors.

Requests and answers are plain JSON instead of cvat-sdk's models: a newer server's unknown fields
pass, and a thousand skeletons cost no thousand model objects.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from cvat_bridge.answers import RunningError, failure_reason, refusal, unreachable
from cvat_bridge.errors import (
    BusyError,
    NotCvatError,
    RequestFailedError,
)

if TYPE_CHECKING:
    from cvat_sdk import Client
    from urllib3 import BaseHTTPResponse

POLL_GROWTH = 1.5
POLL_LONGEST_S = 2.0
"""Pauses between looks at what the server does grow by this factor up to this length."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server and how often to ask again; see `cvat_bridge.server.connect`.

    Parameters
    ----------
    timeout_s
        Longest wait for one answer.
    retries, backoff_s
        Repeats of what is safe to repeat, and the factor of the growing pause between.
    poll_s
        First pause while the server works in the background; it grows to `POLL_LONGEST_S`.
    wait_s
        Longest wait for background work.
    settle_s
        How long a task must not change before no request is taken to be at work on it.
    """

    timeout_s: float = 300.0
    retries: int = 3
    backoff_s: float = 0.5
    poll_s: float = 0.2
    wait_s: float = 3600.0
    settle_s: float = 10.0


class Transport:
    """Sends requests to one server and turns what goes wrong into `cvat_bridge.errors`.

    Parameters
    ----------
    client
        A cvat-sdk client; its API client carries address, TLS settings, retries and login.
    patience
        How long to wait for its answers.
    """

    def __init__(self, client: "Client", patience: Patience) -> None:
        self._client = client
        self.patience = patience

    @property
    def url(self) -> str:
        """Address of the server, without a slash at the end."""
        return str(self._client.api_map.host)

    @property
    def organization(self) -> str | None:
        """Short name of the organisation that is worked in; see `cvat_bridge.server.connect`."""
        slug = self._client.organization_slug
        return None if slug is None else str(slug)

    @organization.setter
    def organization(self, slug: str) -> None:
        self._client.organization_slug = slug

    def request(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> "BaseHTTPResponse":
        """Send one request and return the answer, or raise what its status means.

        Parameters
        ----------
        method, path
            For example ``"GET"``, ``"/api/tasks"``.
        doing
            What this is for, as a message begins: ``"Reading task 3"``.
        query, body
            URL parameters; what is sent as JSON.
        fields
            Form fields instead of `body`, sent as multipart.
        headers
            More headers.
        stream
            Leave the body unread.

        Raises
        ------
        ServerError
            One of its kinds. Nothing secret is in the message.
        """
        import urllib3
        from cvat_sdk.core.helpers import make_request_headers
        from cvat_sdk.exceptions import ApiException

        api = self._client.api_client
        kind = {"Content-Type": "multipart/form-data"} if fields else {}
        try:
            response = api.rest_client.request(
                method,
                self.url + path,
                query_params=list((query or {}).items()) or None,
                headers={**make_request_headers(api), **kind, **(headers or {})},
                body=body,
                post_params=dict(fields) if fields else None,
                _parse_response=not stream,
                _request_timeout=(min(self.patience.timeout_s, 20.0), self.patience.timeout_s),
                _check_status=False,
            )
        except (urllib3.exceptions.HTTPError, ApiException) as error:
            raise unreachable(self.url, error, doing) from None
        if 200 <= response.status <= 299:
            return response
        if stream:
            response.read()
        raise refusal(response, doing, self.url)

    def json(
        self, method: str, path: str, *, doing: str, needs: tuple[str, ...] = (), **options: Any
    ) -> Any:
        """Send one request and return its JSON.

        Parameters
        ----------
        method, path, doing, **options
            As `request`.
        needs
            Keys of the object that CVAT answers with here; none are asked for where it is no
            object, or may be another.

        Raises
        ------
        NotCvatError
            The answer is no JSON, or lacks a key: a proxy's page can come with status 200, and
            what it lacks is not to be taken for an empty list.
        """
        response = self.request(method, path, doing=doing, **options)
        try:
            answer = json.loads(response.data)
        except ValueError:
            raise self._strange(path, doing, "is no JSON") from None
        if needs and not isinstance(answer, dict):
            raise self._strange(path, doing, "is no JSON object")
        for key in needs:
            if key not in answer:
                raise self._strange(path, doing, f"has no {key!r}")
        return answer

    def _strange(self, path: str, doing: str, how: str) -> NotCvatError:
        return NotCvatError(
            f"{doing}: the answer of {self.url}{path} {how}, as if something other than CVAT had "
            "answered; check the address, and proxies in between."
        )

    def pages(self, path: str, *, doing: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Iterate over all results of a paginated list."""
        page = 1
        while True:
            asked = query | {"page": page, "page_size": 100}
            answer = self.json("GET", path, doing=doing, needs=("results",), query=asked)
            yield from answer["results"]
            if not answer.get("next"):
                return
            page += 1

    def start(self, method: str, path: str, *, doing: str, **options: Any) -> str:
        """Send a request that starts background work and return its request id.

        If the same work is running already (409), the id is that of the running request, whose
        result is as good.
        """
        try:
            answer = self.json(method, path, doing=doing, needs=("rq_id",), **options)
        except RunningError as busy:
            return busy.request_id
        return str(answer["rq_id"])

    def wait(
        self, request_id: str, *, doing: str, progress: Callable[[float], None] | None = None
    ) -> dict[str, Any]:
        """Wait until background work ends and return the finished request.

        Parameters
        ----------
        request_id
            As `start` returned it.
        doing
            As in `request`.
        progress
            Called with the share done, 0 to 1, as the server tells it.

        Raises
        ------
        RequestFailedError
            With the server's reason.
        BusyError
            If it has not ended after ``wait_s``.
        """
        deadline = time.monotonic() + self.patience.wait_s
        pause = self.patience.poll_s
        path = f"/api/requests/{quote(request_id, safe='')}"
        while True:
            state = self.json("GET", path, doing=doing, needs=("status",))
            if state["status"] == "finished":
                return dict(state)
            if state["status"] == "failed":
                raise RequestFailedError(
                    f"{doing} failed on the server: {failure_reason(state.get('message'))}."
                )
            if time.monotonic() > deadline:
                raise BusyError(
                    f"{doing}: the server has not finished after {self.patience.wait_s:g} s; it "
                    "goes on by itself, so run this again later."
                )
            if progress is not None:
                progress(float(state.get("progress") or 0.0))
            time.sleep(pause)
            pause = min(pause * POLL_GROWTH, POLL_LONGEST_S)

    def save(self, url: str, path: Path, *, doing: str, check: Callable[[Path], None]) -> None:
        """Download a result to `path`: whole or not at all, replacing what is there.

        Parameters
        ----------
        url
            The server's own idea of its address; only its path and query are used, because behind
            a proxy its host may be an internal one.
        path, doing
            Where to; as in `request`.
        check
            Called with the file that came, before it replaces anything; what it raises keeps
            `path` as it was.
        """
        import urllib3

        parts = urlsplit(url)
        source = parts.path + (f"?{parts.query}" if parts.query else "")
        response = self.request("GET", source, doing=doing, stream=True)
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("wb") as file:
                for chunk in response.stream(2**20):
                    file.write(chunk)
            check(part)
            part.replace(path)
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(self.url, error, doing) from None
        finally:
            response.close()
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """End the session; a server that cannot be reached any more is no error."""
        with suppress(Exception):
            self._client.logout()
        self._client.close()
