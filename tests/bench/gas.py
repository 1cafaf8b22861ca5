"""`make gas`: gas of whole transactions in steady state, from receipts, at two sizes of network.

--check fails where a figure differs from tests/snapshots/, misses its goal or depends on the number
of nodes and models, or where a contract outgrows its limit; --update writes the snapshots. With
JSON=1 the last line is one object: name → gas.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.gas_calls import GasCalls
from tests.bench.gas_network import GasNetwork, anvil, populate

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
GAS, BYTES = SNAPSHOTS / "gas.json", SNAPSHOTS / "bytecode.json"
SMALL, LARGE = 10, 5_000
MAX_BYTES = 22_000  # of one contract's code; chains refuse 24,577
GOALS = {
    "submit_prompt": 112_000,
    "submit_response": 51_000,
    "submit_response_usage": 59_000,
    "permit_deposit_submit": 150_000,
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Name → gas of a transaction, contract → bytes of its code."""

    gas: dict[str, int]
    code: dict[str, int]


def measure(size: int) -> Figures:
    """With `size` nodes and as many models."""
    with anvil() as url:
        network = GasNetwork(url)
        code = network.code_sizes()
        populate(network, n_nodes=size, n_models=size)
        return Figures(GasCalls(network).measure(), code)


def show(small: dict[str, int], large: dict[str, int]) -> None:
    print(f"{'gas of a whole transaction':<34}{SMALL:>9}{LARGE:>9}  goal")
    for name, gas in small.items():
        goal = f"{GOALS[name]:>8,}" if name in GOALS else ""
        print(f"  {name:<32}{gas:>9,}{large[name]:>9,}  {goal}")


def complaints(small: dict[str, int], large: dict[str, int]) -> list[str]:
    missed = [f"{n}: {small[n]:,} is over {goal:,}" for n, goal in GOALS.items() if small[n] > goal]
    grown = [
        f"{name}: {gas:,} with {SMALL} nodes and models, {large[name]:,} with {LARGE:,}"
        for name, gas in small.items()
        if name in GOALS and gas != large[name]
    ]
    return missed + grown


def drift(figures: dict[str, int], snapshot: Path) -> list[str]:
    known: dict[str, int] = json.loads(snapshot.read_text()) if snapshot.exists() else {}
    return [
        f"{name}: {figures.get(name)} now, {known.get(name)} in {snapshot.name}"
        for name in sorted(figures.keys() | known.keys())
        if figures.get(name) != known.get(name)
    ]


def outgrown(code: dict[str, int]) -> list[str]:
    return [f"{name}: {n:,} bytes, over {MAX_BYTES:,}" for name, n in code.items() if n > MAX_BYTES]


def write(figures: dict[str, int], snapshot: Path) -> None:
    snapshot.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--update", action="store_true")
    options = parser.parse_args()
    small, large = measure(SMALL), measure(LARGE)
    show(small.gas, large.gas)
    if options.update:
        write(small.gas, GAS)
        write(small.code, BYTES)
    wrong = []
    if options.check:
        wrong = complaints(small.gas, large.gas) + outgrown(small.code)
        wrong += drift(small.gas, GAS) + drift(small.code, BYTES)
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        print("if this is meant: make gas-update", file=sys.stderr)
    if os.environ.get("JSON"):
        print(json.dumps(small.gas), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
