"""How much memory the parts hold while they live."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

import psutil

from tests.support.soak.programs import Ward

LOOK_EVERY_S = 1.0
WARM_UP_LOOKS = 8
MIB = 1 << 20


class MemoryWatch:
    """Resident bytes of each process, once a second from its first second on duty."""

    def __init__(self, wards: Sequence[Ward]) -> None:
        self._wards = wards
        self._seen: dict[tuple[str, int], list[int]] = defaultdict(list)

    async def run(self) -> None:
        while True:
            for ward in self._wards:
                self._look_at(ward)
            await asyncio.sleep(LOOK_EVERY_S)

    def _look_at(self, ward: Ward) -> None:
        pid = ward.pid
        if pid is None or not ward.is_on_duty:
            return
        try:
            self._seen[ward.name, pid].append(psutil.Process(pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return

    def growths(self) -> dict[str, tuple[int, int]]:
        """Early and late MiB of each process that lived long enough to tell."""
        return {
            f"{name} {pid}": (_mib(looks[3:WARM_UP_LOOKS]), _mib(looks[-5:]))
            for (name, pid), looks in self._seen.items()
            if len(looks) >= 3 * WARM_UP_LOOKS
        }


def _mib(looks: Sequence[int]) -> int:
    return round(median(looks) / MIB)
