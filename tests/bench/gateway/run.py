"""`make bench-gateway`: the gateway's figures, each bench in a process of its own."""

import sys

from tests.bench.run import run_all

BENCHES = (
    "gateway.bench_chat",
    "gateway.bench_reads",
    "gateway.bench_streams",
    "gateway.bench_sockets",
    "gateway.bench_upload",
)

if __name__ == "__main__":
    sys.exit(run_all(BENCHES))
