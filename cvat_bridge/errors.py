"""The one exception tree of this package; each message says what happened and what to do next."""


class CvatError(Exception):
    """Anything that went wrong between this package and CVAT, or with its files.

    Messages never hold passwords or tokens.
    """


class SkeletonError(CvatError, ValueError):
    """A skeleton or skeleton label that CVAT would accept and later fail on."""


class PoseError(CvatError, ValueError):
    """Arrays that do not form a pose."""


class PayloadError(CvatError, ValueError):
    """Annotations or frames that would be dropped by the server or destroy the task.

    The message names the frame and the keypoint; nothing was sent.
    """


class FormatError(CvatError, ValueError):
    """A file (dataset folder, export zip, backup) that does not hold what its format asks for."""


class ServerError(CvatError):
    """Base of everything that a server, or the way to it, answered with."""


class AddressError(ServerError):
    """Nobody listens at this address, its name does not resolve, or the connection broke."""


class TlsError(AddressError):
    """The server's certificate is not trusted, or the address does not speak TLS."""


class NotCvatError(ServerError):
    """Something listens at this address, but it is no CVAT server."""


class VersionError(ServerError):
    """The server is too old for this package."""


class LoginError(ServerError):
    """The server refused the user name and password, or the access token."""


class PermissionDeniedError(ServerError):
    """The login is good, but this account may not do what was asked."""


class NotFoundError(ServerError):
    """The project, task, job or organisation does not exist, or this account cannot see it."""


class BusyError(ServerError):
    """The same export or import is running and did not end in time."""


class RequestFailedError(ServerError):
    """Background work on the server (reading frames, export, import) failed; holds its reason."""


class RejectedError(ServerError):
    """The server refused a request as invalid (400), with its reason."""


class ServerTroubleError(ServerError):
    """The server failed by itself (5xx) and went on failing when asked again."""


class ConflictError(CvatError):
    """What is on the server differs from what was expected (label, frames, annotations)."""
