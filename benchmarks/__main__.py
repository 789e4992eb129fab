"""`make bench`: every benchmark, one after the other, at its default size."""

import runpy
import sys
import time

BENCHMARKS = (
    "predict",
    "selection",
    "cvat_push",
    "panel",
    "whole_frames",
    "active_learning",
)


def main() -> None:
    chosen = sys.argv[1:] or BENCHMARKS
    for name in chosen:
        started = time.perf_counter()
        print(f"== {name}", flush=True)
        sys.argv = [name]
        try:
            runpy.run_module(f"benchmarks.{name}", run_name="__main__")
        except SystemExit as left:  # Typer's way to end, also when all went well
            if left.code:
                raise
        print(f"== {name}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
