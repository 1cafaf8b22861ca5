"""A node's allotment over a chain and a cache that only remember what they were told."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from decentralized_vllm.protocol.errors import ChainUnavailable
from dvllm_worker.resources.allotment import Allotment, Means
from dvllm_worker.resources.gate import SlotGate
from dvllm_worker.resources.meter import Gpus
from dvllm_worker.resources.shares import Shares

GIB = 1 << 30
LIMITS = Shares(cpu=100.0, memory=80.0, gpu=0.0, storage=50.0)
DECLARED_SLOTS = 8


class NoGpu:
    def measure(self) -> Gpus | None:
        return None


@dataclass
class Told:
    """`silent` makes the chain fail that many times first."""

    slots: list[int] = field(default_factory=list)
    cache_bytes: int = 0
    cores: Sequence[int] = ()
    silent: int = 0

    async def set_slots(self, slots: int) -> None:
        if self.silent:
            self.silent -= 1
            raise ChainUnavailable("out for lunch")
        self.slots.append(slots)

    def keep_to(self, cores: Sequence[int]) -> None:
        self.cores = cores

    def limit(self, max_bytes: int) -> None:
        self.cache_bytes = max_bytes


def allotment_in(folder: Path, told: Told, gate: SlotGate | None = None) -> Allotment:
    means = Means(
        gate=gate or SlotGate(DECLARED_SLOTS),
        cache=told,
        duty=told,
        disk_bytes=100 * GIB,
        cache_bytes=50 * GIB,
        cores=range(os.cpu_count() or 1),
        keep_to=told.keep_to,
    )
    return Allotment(folder / "resources.json", LIMITS, DECLARED_SLOTS, means)
