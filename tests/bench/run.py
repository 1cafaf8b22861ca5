"""`make bench`: runs every bench in a process of its own, one after the other.

A bench that fails is told at the end, and the others still run. With JSON=1 the last line is one
object: bench → its figures.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BENCHES = (
    "gas",
    "bench_startup",
    "bench_cid",
    "bench_latency",
    "bench_throughput",
    "bench_tokens",
)
ROOT = Path(__file__).parents[2]


def run(bench: str) -> dict[str, object] | None:
    """The figures of one bench, or None after a failure; what it prints for people is shown."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{bench}"],
        cwd=ROOT,
        env={**os.environ, "JSON": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    *table, last = done.stdout.rstrip().splitlines() or [""]
    print("\n".join(table), flush=True)
    if done.returncode != 0:
        print(f"{last}\n{bench} failed with exit code {done.returncode}", flush=True)
        return None
    figures: dict[str, object] = json.loads(last)
    return figures


def run_all(benches: Sequence[str]) -> int:
    """The exit code: 1 if one of them failed."""
    figures = {bench: run(bench) for bench in benches}
    failed = [bench for bench, result in figures.items() if result is None]
    if failed:
        print(f"failed: {', '.join(failed)}")
    if os.environ.get("JSON"):
        print(json.dumps(figures), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_all(BENCHES))
