"""How long people wait for the library: `dvllm --help`, and the import of Client beside web3's.

Every figure is the median over processes started in turn, so that a busy moment hits all alike.
"""

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from tests.bench.figures import Figure, at_most, show

N_ROUNDS = 15
DVLLM = Path(sysconfig.get_path("scripts")) / "dvllm"
COMMANDS = {
    "help": [str(DVLLM), "--help"],
    "client": [sys.executable, "-c", "from decentralized_vllm import Client"],
    "web3": [sys.executable, "-c", "import web3"],
}


def seconds_of(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure() -> dict[str, float]:
    for argv in COMMANDS.values():
        seconds_of(argv)  # byte code and disk cache are warm from here on
    rounds = [{name: seconds_of(argv) for name, argv in COMMANDS.items()} for _ in range(N_ROUNDS)]
    return {name: statistics.median(each[name] for each in rounds) for name in COMMANDS}


def main() -> None:
    seconds = measure()
    show(
        f"Start-up (median of {N_ROUNDS})",
        [
            Figure("dvllm_help_s", seconds["help"], "s", at_most(0.3)),
            Figure("import_client_s", seconds["client"], "s"),
            Figure("import_web3_s", seconds["web3"], "s"),
            Figure("import_ratio", seconds["client"] / seconds["web3"], "", at_most(1.2)),
        ],
    )


if __name__ == "__main__":
    main()
