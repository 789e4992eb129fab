"""Where the CVAT server is and how to log in: from arguments or the environment, never stored."""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cvat_bridge.errors import AddressError, LoginError

if TYPE_CHECKING:
    from cvat_bridge.server import Server

_VARIABLE = "FIFTYONE_CVAT_"


@dataclass(frozen=True)
class Login:
    """A server and an account on it; printing it shows no secret."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    organization: str | None = None
    ca_file: str | None = None

    def connect(self, usual_url: str | None = None) -> "Server":
        """Log in.

        Parameters
        ----------
        usual_url
            Server to take where none was given.

        Raises
        ------
        CvatError
            No server or account is given, or the server refuses.
        """
        from cvat_bridge.server import connect

        url = self.url or usual_url
        if not url:
            raise AddressError(
                f"No CVAT server is given: set {_VARIABLE}URL, for example to "
                "https://cvat.example.org. Without a server, exchange files instead: push to a "
                "backup and pull from an export."
            )
        if not self.token and not (self.user and self.password):
            raise LoginError(
                f"No login for {url} is given: set {_VARIABLE}TOKEN to an access token (CVAT: "
                f"Profile, Security), or {_VARIABLE}USERNAME and {_VARIABLE}PASSWORD."
            )
        return connect(
            url,
            token=self.token,
            user=self.user,
            password=self.password,
            organization=self.organization,
            ca_file=self.ca_file,
        )


def find_login(
    *,
    url: str | None = None,
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    organization: str | None = None,
) -> Login:
    """Take what is given, and the rest from ``FIFTYONE_CVAT_URL``, ``_TOKEN`` and so on.

    A token or user that is given is never mixed with one of the environment.
    """
    if token is None and user is None:
        token = _from_environment("TOKEN")
        user = _from_environment("USERNAME")
    if organization is None:
        organization = _from_environment("ORGANIZATION")
    return Login(
        url=url or _from_environment("URL"),
        token=token,
        user=user,
        password=password or _from_environment("PASSWORD"),
        organization=organization,
        ca_file=_from_environment("CA_FILE"),
    )


def _from_environment(name: str) -> str | None:
    return os.environ.get(_VARIABLE + name) or None
