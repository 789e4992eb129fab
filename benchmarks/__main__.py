"""`make bench`: every benchmark, one after the other, at its default size."""

import runpy
import sys
import time

BENCHMARKS = ("predict", "selection", "cvat_push", "panel", "blazepose", "active_learning")


def main() -> None:
    chosen = sys.argv[1:] or BENCHMARKS
    for name in chosen:
        started = time.perf_counter()
        print(f"== {name}", flush=True)
        sys.argv = [name]
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
        print(f"== {name}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
