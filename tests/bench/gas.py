"""`make gas`: gas of whole transactions in steady state, from receipts, at two sizes of network.

--check fails where a figure differs from tests/snapshots/gas.json, misses its goal or depends on
the number of nodes and models; --update writes the snapshot. With JSON=1 the last line is one
object: name → gas.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from tests.bench.gas_calls import GasCalls
from tests.bench.gas_network import GasNetwork, anvil, populate

SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "gas.json"
SMALL, LARGE = 10, 5_000
GOALS = {
    "submit_prompt": 112_000,
    "submit_response": 51_000,
    "submit_response_usage": 59_000,
    "permit_deposit_submit": 150_000,
}


def measure(size: int) -> dict[str, int]:
    """Name → gas, with `size` nodes and as many models."""
    with anvil() as url:
        network = GasNetwork(url)
        populate(network, n_nodes=size, n_models=size)
        return GasCalls(network).measure()


def show(small: dict[str, int], large: dict[str, int]) -> None:
    print(f"{'gas of a whole transaction':<34}{SMALL:>9}{LARGE:>9}  goal")
    for name, gas in small.items():
        goal = f"{GOALS[name]:>8,}" if name in GOALS else ""
        print(f"  {name:<32}{gas:>9,}{large[name]:>9,}  {goal}")


def complaints(small: dict[str, int], large: dict[str, int], known: dict[str, int]) -> list[str]:
    missed = [f"{n}: {small[n]:,} is over {goal:,}" for n, goal in GOALS.items() if small[n] > goal]
    grown = [
        f"{name}: {gas:,} with {SMALL} nodes and models, {large[name]:,} with {LARGE:,}"
        for name, gas in small.items()
        if name in GOALS and gas != large[name]
    ]
    names = sorted(small.keys() | known.keys())
    drift = [
        f"{name}: {small.get(name)} now, {known.get(name)} in the snapshot"
        for name in names
        if small.get(name) != known.get(name)
    ]
    return missed + grown + drift


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--update", action="store_true")
    options = parser.parse_args()
    small, large = measure(SMALL), measure(LARGE)
    show(small, large)
    if options.update:
        SNAPSHOT.write_text(json.dumps(small, indent=2, sort_keys=True) + "\n")
    known = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    wrong = complaints(small, large, known) if options.check else []
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        print("if this is meant: make gas-update", file=sys.stderr)
    if os.environ.get("JSON"):
        print(json.dumps(small), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
