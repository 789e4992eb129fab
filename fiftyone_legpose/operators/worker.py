"""One verb in a process of its own: a request of the App comes in, progress and outcome go out.

The first line of standard input is the request, a later one may ask to stop. Lines of JSON on
standard output are the answer; whatever the libraries print goes to standard error, which is the
App's log.
"""

import contextlib
import json
import logging
import os
import sys
import threading
from typing import Any, TextIO

from fiftyone.operators.executor import ExecutionContext, Executor

from cvat_bridge.errors import CvatError
from fiftyone_legpose.cvat.login import SECRETS
from fiftyone_legpose.errors import LegposeError, file_trouble
from fiftyone_legpose.jobs import CANCEL, Outcome
from fiftyone_legpose.operators import OPERATORS
from fiftyone_legpose.progress import Cancelled


def main() -> None:
    """Read one request, call its verb, and tell what became of it."""
    with os.fdopen(os.dup(1), "w", buffering=1) as out:
        os.dup2(2, 1)
        request = json.loads(sys.stdin.readline())
        stop = threading.Event()
        # Ends when the App's server, having read the outcome, closes the pipe.
        threading.Thread(target=_listen, args=(sys.stdin, stop)).start()
        _tell(out, outcome=work(request, out, stop).to_json())


def work(request: dict[str, Any], out: TextIO, stop: threading.Event) -> Outcome:
    """Call the verb of a request; errors become the outcome, in words."""
    uri = request["operator_uri"]
    [operator] = [cls() for cls in OPERATORS if uri.endswith(f"/{cls.verb}")]
    ctx = ExecutionContext(
        request, executor=Executor(), operator_uri=uri, required_secrets=list(SECRETS)
    )

    def report(done: float, total: float, message: str) -> None:
        _tell(out, done=done, total=total, message=message)
        if stop.is_set():
            raise Cancelled

    try:
        return operator.work(ctx, report)
    except Cancelled:
        return Outcome(f"{operator.title}: stopped. {operator.when_stopped}", stopped=True)
    except (LegposeError, CvatError) as error:
        return Outcome(str(error), failed=True)
    except Exception as error:
        if isinstance(error, OSError) and (trouble := file_trouble(error)):
            return Outcome(trouble, failed=True)
        logging.exception("An operator failed")
        return Outcome(
            f"{type(error).__name__}: {error}. This is a fault of the plugin; the App's log has "
            "the details.",
            failed=True,
        )


def _listen(orders: TextIO, stop: threading.Event) -> None:
    for line in orders:
        if line.strip() == CANCEL:
            stop.set()


def _tell(out: TextIO, **message: Any) -> None:
    # The App may be gone; the work goes on all the same.
    with contextlib.suppress(BrokenPipeError):
        out.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    main()
