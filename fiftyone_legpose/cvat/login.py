"""Where the CVAT server is and how to log in: from arguments or the environment, never stored."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict, Unpack
from urllib.parse import urlsplit

from cvat_bridge.errors import AddressError, LoginError

if TYPE_CHECKING:
    from cvat_bridge.server import Server

_VARIABLE = "FIFTYONE_CVAT_"
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Login:
    """A server and an account on it; printing it shows no secret."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    organization: str | None = None
    ca_file: str | None = None

    def connect(self, run_url: str | None = None, organization: str | None = None) -> "Server":
        """Log in.

        Parameters
        ----------
        run_url
            Address that a dataset remembers. It is told where no server is given, but the login
            is never sent there on the dataset's word: a dataset from elsewhere can name any host.
        organization
            Short name of the organisation that a run went to, where it is known. It counts before
            that of the login: CVAT lists no job of a task in another organisation.

        Raises
        ------
        CvatError
            No server or account is given, or the server refuses.
        """
        from cvat_bridge.connecting import connect

        if not self.url:
            if run_url:
                raise AddressError(
                    f"This run went to {run_url}, and no server is given to send a login to: if "
                    f"that is yours, set {_VARIABLE}URL to it."
                )
            raise AddressError(
                f"No CVAT server is given: set {_VARIABLE}URL, for example to "
                "https://cvat.example.org. Without a server, exchange files instead: push to a "
                "backup and pull from an export."
            )
        if not self.token and not (self.user and self.password):
            raise LoginError(
                f"No whole login for {host_of(self.url)} is given: set {_VARIABLE}TOKEN to an "
                f"access token (CVAT: Profile, Security), or both {_VARIABLE}USERNAME and "
                f"{_VARIABLE}PASSWORD."
            )
        return connect(
            self.url,
            token=self.token,
            user=self.user,
            password=self.password,
            organization=self.organization if organization is None else organization,
            ca_file=self.ca_file,
        )


class Account(TypedDict, total=False):
    """What the public verbs take of a `Login` as plain keywords."""

    url: str | None
    token: str | None
    user: str | None
    password: str | None
    organization: str | None


def find_login(login: Login | None = None, **account: Unpack[Account]) -> Login:
    """Give a login as it is, or take what is given of one, and the rest from the environment.

    The variables are ``FIFTYONE_CVAT_URL``, ``_TOKEN``, ``_USERNAME``, ``_PASSWORD``,
    ``_ORGANIZATION`` and ``_CA_FILE``. Token, user and password come from one place: where one of
    them is given, none is taken from the environment. Those of the environment are for the server
    of ``FIFTYONE_CVAT_URL`` alone.

    Raises
    ------
    LoginError
        The login of the environment is for another server than `url`.
    TypeError
        A keyword is none of `Account`, or a login and parts of one are given.
    """
    unknown = sorted(set(account) - Account.__annotations__.keys())
    if unknown:
        raise TypeError(
            f"unexpected keyword argument {unknown[0]!r}; of a CVAT account there are "
            f"{', '.join(Account.__annotations__)}"
        )
    if login is not None:
        if any(account.values()):
            raise TypeError(f"give login, or {', '.join(account)}, not both")
        return login
    url, token, user = account.get("url"), account.get("token"), account.get("user")
    password, organization = account.get("password"), account.get("organization")
    known = _from_environment("URL")
    if not (token or user or password):
        token, user, password = map(_from_environment, ("TOKEN", "USERNAME", "PASSWORD"))
        if url and known and (token or user or password) and host_of(url) != host_of(known):
            raise LoginError(
                f"The login of the environment is for {host_of(known)}, not for {host_of(url)}: "
                f"set {_VARIABLE}URL, and {_VARIABLE}TOKEN to an access token of that server."
            )
    if organization is None:
        organization = _from_environment("ORGANIZATION")
    return Login(
        url=url or known,
        token=token,
        user=user,
        password=password,
        organization=organization,
        ca_file=_from_environment("CA_FILE"),
    )


SECRETS = tuple(
    f"{_VARIABLE}{name}"
    for name in ("URL", "USERNAME", "PASSWORD", "TOKEN", "ORGANIZATION", "CA_FILE")
)
"""What ``fiftyone.yml`` lists, so that FiftyOne's secrets hold it for the App."""


def login_from_secrets(get: Callable[[str], str | None]) -> Login:
    """Take a login from FiftyOne's secrets.

    Parameters
    ----------
    get
        Gives a secret of `SECRETS` by its name, or None.
    """
    url, user, password, token, organization, ca_file = (get(name) or None for name in SECRETS)
    return Login(url, token, user, password, organization, ca_file)


def host_of(url: str) -> str:
    """Give host and port of an address, without a login that it may hold."""
    parts = urlsplit(url.strip() if "://" in url else f"https://{url.strip()}")
    _, _, place = parts.netloc.lower().rpartition("@")
    usual = _USUAL_PORTS.get(parts.scheme)
    return place.removesuffix(f":{usual}") if usual else place


def _from_environment(name: str) -> str | None:
    return os.environ.get(_VARIABLE + name) or None
