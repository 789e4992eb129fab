"""Which MongoDB answers: FiftyOne joins one that the same user runs, whatever is configured."""

from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo
import fiftyone.core.odm as foo
from pymongo.errors import OperationFailure
from pymongo.uri_parser import parse_uri


@dataclass(frozen=True)
class Database:
    """The database that datasets are read from and written to."""

    place: str
    """The folder of its files, or the host that was configured."""
    configured: str | None = None
    """The folder that was configured, where it is another one."""

    @property
    def warning(self) -> str | None:
        """What to tell where another database answers than the configured one."""
        if self.configured is None:
            return None
        return (
            f"another database answers than the configured one: FiftyOne has joined the one in "
            f"{self.place}, which a process of yours keeps open, instead of that in "
            f"{self.configured}. Close FiftyOne there and start again, or give each study a "
            "MongoDB of its own (FIFTYONE_DATABASE_URI)"
        )


def database_in_use() -> Database:
    """Tell where the database is that FiftyOne is connected to, without its credentials."""
    if fo.config.database_uri:
        hosts = parse_uri(fo.config.database_uri, validate=False)["nodelist"]
        told = ", ".join(f"{host}:{port}" if port else str(host) for host, port in hosts)
        return Database(f"{told}, named {fo.config.database_name}")
    configured = Path(fo.config.database_dir).expanduser().resolve()
    try:
        options = foo.get_db_conn().client.admin.command("getCmdLineOpts")
    except OperationFailure:
        return Database("a place that it does not tell")
    told = options.get("parsed", {}).get("storage", {}).get("dbPath")
    place = configured if told is None else Path(told).resolve()
    return Database(str(place), None if place == configured else str(configured))
