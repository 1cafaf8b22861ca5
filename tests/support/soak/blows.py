"""What goes wrong and when: drawn from a seed, so that a run can be repeated."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.support.anvil import Anvil
from tests.support.soak.programs import Ward

CHAIN = "chain"
FIRST_AFTER_S = 5.0
SHORTEST_LIFE_S = 8.0
CHAIN_PAUSE_S = (1.0, 6.0)
AWAY_S = (0.0, 8.0)


@dataclass(frozen=True)
class Blow:
    """At `at_s` after the start, `target` is away for `for_s`."""

    target: str
    at_s: float
    for_s: float


def draw_blows(
    rng: Random, duration_s: float, mean_life_s: Mapping[str, float]
) -> tuple[Blow, ...]:
    """Of one target never two at a time; of different ones they overlap as it comes."""
    blows: list[Blow] = []
    for target, mean_s in mean_life_s.items():
        at_s = FIRST_AFTER_S + rng.uniform(0, mean_s)
        while at_s < duration_s:
            for_s = rng.uniform(*(CHAIN_PAUSE_S if target == CHAIN else AWAY_S))
            blows.append(Blow(target, at_s, for_s))
            at_s += for_s + SHORTEST_LIFE_S + rng.expovariate(1 / mean_s)
    return tuple(sorted(blows, key=lambda blow: blow.at_s))


async def strike(blows: Sequence[Blow], wards: Sequence[Ward], anvil: Anvil) -> None:
    """Returns when the last of them is over, and what was down is started again."""
    known = {ward.name: ward for ward in wards}
    begin_s = asyncio.get_running_loop().time()

    async def one(blow: Blow) -> None:
        await asyncio.sleep(begin_s + blow.at_s - asyncio.get_running_loop().time())
        if blow.target == CHAIN:
            await _hold(anvil, blow.for_s)
        else:
            await known[blow.target].break_down(blow.for_s)

    async with asyncio.TaskGroup() as group:
        for blow in blows:
            group.create_task(one(blow))


async def _hold(anvil: Anvil, for_s: float) -> None:
    """Connections stay open, and nobody answers."""
    os.kill(anvil.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(for_s)
    finally:
        os.kill(anvil.pid, signal.SIGCONT)
