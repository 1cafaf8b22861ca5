"""CID hashing of a file against plain sha256 of the same file, in turn, each page warm.

Every figure is the median over rounds, in processor time: both work on one core and wait for
nothing, so on an idle machine this is the time that passes, and a busy one disturbs it less.
"""

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from decentralized_vllm.content.importer import STEP_BYTES, cid_of_path
from decentralized_vllm.content.profiles import PROFILES
from tests.bench.figures import Figure, at_least, show

N_BYTES = 256 * 1024 * 1024
N_ROUNDS = 5
GOAL_RATIO = 0.8


def plain_sha256(path: Path) -> None:
    digest, buffer = hashlib.sha256(), memoryview(bytearray(STEP_BYTES))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            digest.update(buffer[:size])


def bytes_per_second(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return N_BYTES / (time.process_time() - started)


def measure(path: Path) -> dict[str, float]:
    works: dict[str, Callable[[], object]] = {"sha256": lambda: plain_sha256(path)}
    for name, profile in PROFILES.items():
        works[name] = lambda profile=profile: cid_of_path(path, profile)  # type: ignore[misc]
    rounds = [
        {name: bytes_per_second(work) for name, work in works.items()} for _ in range(N_ROUNDS)
    ]
    ratios = {name: [each[name] / each["sha256"] for each in rounds] for name in PROFILES}
    return {name: statistics.median(values) for name, values in ratios.items()} | {
        "sha256": statistics.median(each["sha256"] for each in rounds)
    }


def write_sample(path: Path) -> None:
    block = hashlib.shake_256(b"bench").digest(STEP_BYTES)
    with path.open("wb") as file:
        for _ in range(N_BYTES // len(block)):
            file.write(block)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample"
        write_sample(path)
        plain_sha256(path)
        figures = measure(path)
    show(
        f"CID hashing against sha256 (median of {N_ROUNDS}, {N_BYTES >> 20} MiB)",
        [
            Figure("sha256_mb_per_s", figures["sha256"] / 1e6, "MB/s"),
            Figure("cid_ratio", figures["v1"], "", at_least(GOAL_RATIO)),
            Figure("cid_ratio_v1_2025", figures["v1-2025"], "", at_least(GOAL_RATIO)),
            Figure("cid_ratio_v0", figures["v0"], ""),
        ],
    )


if __name__ == "__main__":
    main()
