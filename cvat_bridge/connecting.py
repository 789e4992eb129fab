"""The way to a CVAT server: its address, certificate, version and login, checked one by one."""

import logging
import re
import warnings
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cvat_bridge.answers import OVERLOADED, refusal, unreachable
from cvat_bridge.errors import (
    AddressError,
    LoginError,
    NotCvatError,
    NotFoundError,
    RejectedError,
    TlsError,
    VersionError,
)
from cvat_bridge.server import Server
from cvat_bridge.transport import Patience, Transport

if TYPE_CHECKING:
    from cvat_sdk import Client

logger = logging.getLogger(__name__)

MINIMUM_VERSION = (2, 30)
"""Oldest CVAT that this package talks to: background requests and exports work alike since."""

SAFE_METHODS = ("GET", "HEAD", "DELETE")
"""Methods that mean the same when they are repeated at once, while the first is still at work.

PUT is none: CVAT deletes and inserts without a lock (see `cvat_bridge.annotating`).
"""

_MISTYPED_SCHEME = re.compile(r"https?[:/]*/", re.IGNORECASE)


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
        transport.organization = slug
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


def connect(
    url: str,
    *,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    organization: str | None = None,
    ca_file: str | Path | None = None,
    verify: bool = True,
    timeout_s: float = 300.0,
    retries: int = 3,
    backoff_s: float = 0.5,
    poll_s: float = 0.2,
    wait_s: float = 3600.0,
    settle_s: float = 10.0,
) -> "Server":
    """Log in to a CVAT server.

    Parameters
    ----------
    url
        Like ``https://cvat.example.org``; without a scheme it is https. Plain http to another
        machine works, with a warning.
    token
        Personal access token (CVAT: Profile, Security); preferred to user and password.
    user, password
        Login, if there is no token.
    organization
        Short name of the organisation to work in; ``""`` is the personal workspace, None leaves
        it open.
    ca_file
        Certificate (PEM) of the institution that signed the server's.
    verify
        False connects without checking the certificate, with a warning.
    timeout_s
        Longest wait for one answer.
    retries, backoff_s
        How often requests that are safe to repeat are sent again after a broken connection or an
        answer of 429, 502, 503 or 504, and the factor of the growing pause between.
    poll_s, wait_s
        First pause between looks at background work, and the longest wait for it.
    settle_s
        After poses were sent and the connection broke: how long the task must not change before
        they are sent again (see `cvat_bridge.annotating`).

    Returns
    -------
    Server
        A context manager; leaving it logs out.

    Raises
    ------
    AddressError, TlsError, NotCvatError, VersionError, LoginError
        By what is wrong; no message holds a password or token.
    """
    transport, name = open_transport(
        url,
        token=token,
        user=user,
        password=password,
        organization=organization,
        ca_file=ca_file,
        verify=verify,
        patience=Patience(timeout_s, retries, backoff_s, poll_s, wait_s, settle_s),
    )
    return Server(transport, name)
