"""The command line: `legpose <verb>`; each command reads its options and calls the verb."""

import logging
import sys

import typer

from fiftyone_legpose.commands import learning, looking, reviewing, setup, walking
from fiftyone_legpose.errors import LegposeError, file_trouble

_INTERRUPTED = 130  # what Typer makes of Ctrl-C

app = typer.Typer(
    help="Leg keypoints from videos that show only a person's legs: load, predict, select, push "
    "to CVAT, pull corrections, train, evaluate, and again.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (looking, reviewing, learning, walking, setup):
    app.add_typer(group.app)


def main() -> None:
    """Run the command line; errors that a user can mend become one message and exit status 1."""
    from cvat_bridge.errors import CvatError

    # FiftyOne warns at every start that the packaged mongod is its oldest supported one. It works,
    # and whoever types a command can do nothing about it.
    logging.getLogger("fiftyone.core.odm.database").addFilter(
        lambda record: "oldest supported major version" not in str(record.msg)
    )
    try:
        app()
    except (LegposeError, CvatError) as error:
        typer.secho(f"Error: {error}", err=True, fg="red")
        sys.exit(1)
    except OSError as error:
        trouble = file_trouble(error)
        if trouble is None:
            raise
        typer.secho(f"Error: {trouble}", err=True, fg="red")
        sys.exit(1)
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            typer.secho(
                "Interrupted. What is finished is kept; the same command goes on from there.",
                err=True,
            )
        raise
