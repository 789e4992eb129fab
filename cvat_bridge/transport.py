"""One HTTP conversation with a CVAT server, through cvat-sdk's client: TLS, login, retries, errors.

Requests and answers are plain JSON instead of cvat-sdk's models: a newer server's unknown fields
pass, and a thousand skeletons cost no thousand model objects.
"""

import json
import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from cvat_bridge.answers import OVERLOADED, RunningError, failure_reason, refusal, unreachable
from cvat_bridge.errors import (
    AddressError,
    BusyError,
    LoginError,
    NotCvatError,
    NotFoundError,
    RejectedError,
    RequestFailedError,
    TlsError,
    VersionError,
)

if TYPE_CHECKING:
    from cvat_sdk import Client
    from urllib3 import BaseHTTPResponse

logger = logging.getLogger(__name__)

MINIMUM_VERSION = (2, 30)
"""Oldest CVAT that this package talks to: background requests and exports work alike since."""

SAFE_METHODS = ("GET", "HEAD", "DELETE")
"""Methods that mean the same when they are repeated at once, while the first is still at work.

PUT is none: CVAT deletes and inserts without a lock (see `cvat_bridge.annotating`).
"""

_MISTYPED_SCHEME = re.compile(r"https?[:/]*/", re.IGNORECASE)
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
                    f"{doing}: the server has not finished after {self.patience.wait_s:g} s; it goes on "
                    "by itself, so run this again later."
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


def open_transport(
    url: str,
    *,
    token: str | None,
    user: str | None,
    password: str | None,
    organization: str | None,
    ca_file: str | Path | None,
    verify: bool,
    patience: Patience,
) -> tuple[Transport, str]:
    """Find the server, check its version, log in; parameters as `cvat_bridge.server.connect`.

    Returns
    -------
    Transport, str
        The conversation and the name of the user that it speaks as.
    """
    # Files of secrets end with a line break, which no header may hold.
    slug = None if organization is None else _check_slug(organization.strip())
    client = _client(url, ca_file=ca_file, verify=verify, patience=patience)
    transport = Transport(client, patience)
    if transport.url.startswith("http://") and not _is_local(transport.url):
        _warn_of_plain_http(transport.url)
    _check_version(transport)
    if slug is not None:
        client.organization_slug = slug
    if token:
        _use_token(client, token)
    elif user and password:
        _log_in(transport, client, user, password)
    else:
        raise LoginError(
            f"{transport.url} needs a login: give an access token (CVAT: Profile, Security) or a "
            "user and password."
        )
    who = transport.json("GET", "/api/users/self", doing="Logging in", needs=("username",))
    return transport, str(who["username"])


def _check_slug(organization: str) -> str:
    # It travels in a header, and CVAT gives organisations no other short names.
    if not re.fullmatch(r"[\w-]*", organization, re.ASCII):
        raise LoginError(
            f"{organization!r} is no organisation's short name: it has letters, digits, - and _ "
            "alone. CVAT lists it in the menu of the user, under Organization."
        )
    return organization


def _client(url: str, *, ca_file: str | Path | None, verify: bool, patience: Patience) -> "Client":
    from cvat_sdk import Client
    from cvat_sdk.api_client import ApiClient, Configuration
    from urllib3 import Retry

    address = _checked_url(url)
    if ca_file is not None and not Path(ca_file).is_file():
        raise TlsError(f"The certificate file {ca_file} is not there; check ca_file.")
    if not verify:
        warnings.warn(
            f"The certificate of {address} is not checked: anybody in between can read the "
            "pictures and the login. Give the server's certificate as ca_file instead.",
            stacklevel=4,
        )
    configuration = Configuration(host=address, verify_ssl=verify)
    configuration.ssl_ca_cert = str(ca_file) if ca_file is not None else None
    configuration.retries = Retry(
        total=patience.retries,
        # TLS that breaks while a request is on its way: urllib3 repeats even a POST then.
        other=0,
        backoff_factor=patience.backoff_s,
        status_forcelist=OVERLOADED,
        allowed_methods=SAFE_METHODS,
        raise_on_status=False,
        redirect=0,
        raise_on_redirect=False,
    )
    client = Client(address, check_server_version=False)
    client.api_client = ApiClient(configuration)
    return client


def _checked_url(url: str) -> str:
    text = url.strip()
    # Anywhere in it: where the scheme is mistyped, a login stands in what looks like a path.
    if any(mark in text for mark in "@?#"):
        raise AddressError(
            "The server's address holds a user, password or query; give them apart, so that "
            "they do not reach logs, and write it like https://cvat.example.org."
        )
    text = text if text.endswith("://") else text.rstrip("/")
    scheme, separator, rest = text.rpartition("://")
    if not separator:
        scheme, rest = "https", text
    scheme = scheme.lower()
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        named = bool(parts.hostname) and parts.port != 0 and not _MISTYPED_SCHEME.match(rest)
    except ValueError:
        named = False
    if scheme not in ("http", "https") or not named:
        shown = f"{scheme}://{parts.hostname}" if named else "This"
        raise AddressError(
            f"{shown} is no address of a server; write it like https://cvat.example.org."
        )
    return f"{scheme}://{rest}"


def _is_local(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@cache  # Whoever waits for a reviewer connects every minute; once is enough.
def _warn_of_plain_http(address: str) -> None:
    warnings.warn(
        f"{address} is not encrypted: anybody on the way can read the login and the pictures. "
        "Use the server's https address; where it has none, ask for one.",
        stacklevel=4,
    )


def _check_version(transport: Transport) -> None:
    about: Any = None
    with suppress(NotFoundError, RejectedError):
        about = transport.json("GET", "/api/server/about", doing="Looking for CVAT")
    version = about.get("version") if isinstance(about, dict) else None
    numbers = re.match(r"(\d+)\.(\d+)", str(version or ""))
    if numbers is None:
        raise NotCvatError(
            f"Something answers at {transport.url}, but it is no CVAT server; check the address "
            "and the port."
        )
    if (int(numbers[1]), int(numbers[2])) < MINIMUM_VERSION:
        oldest = ".".join(map(str, MINIMUM_VERSION))
        raise VersionError(
            f"The CVAT at {transport.url} is {version}; this needs {oldest} or newer. Ask for an "
            "update, or exchange files: push to a backup and pull from an export."
        )
    logger.info("CVAT %s at %s", version, transport.url)


def _use_token(client: "Client", token: str) -> None:
    from cvat_sdk.core.client import AccessTokenCredentials

    if not token.isascii() or any(character.isspace() for character in token):
        raise LoginError("The access token holds spaces or line breaks; copy it again.")
    client.login(AccessTokenCredentials(token))


def _log_in(transport: Transport, client: "Client", user: str, password: str) -> None:
    import urllib3
    from cvat_sdk.exceptions import ApiException

    try:
        client.login((user, password))
    except ApiException as error:
        if error.status in (400, 401):
            raise LoginError(
                f"{transport.url} does not know this user and password (user {user!r}); check "
                "both, or use an access token."
            ) from None
        raise refusal(error, "Logging in", transport.url) from None
    except urllib3.exceptions.HTTPError as error:
        raise unreachable(transport.url, error, "Logging in") from None
    except (TypeError, AssertionError):
        raise NotCvatError(
            f"The login at {transport.url} did not answer as CVAT does; check the address."
        ) from None
