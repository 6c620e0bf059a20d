"""Try mutants of the emitted code, and print what becomes of each: `MUTANTS=100 SEED=1 python -m tests.mutants [PATH]`."""

import sys
import time

from tests.drawn import SEED
from tests.mutants.projects import chosen
from tests.mutants.running import tried
from tests.trees import template


def run(path: str = "") -> None:
    """Of all that are drawn, those of the modules whose path holds a text."""
    began = time.perf_counter()
    faults = [fault for fault in chosen(template(), SEED) if path in fault.path]
    print(tried(template(), faults, lambda verdict: print(verdict, flush=True)))
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    run(*sys.argv[1:])
