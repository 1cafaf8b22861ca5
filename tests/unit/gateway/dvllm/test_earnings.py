"""What is told of a node's earnings."""

from dataclasses import dataclass, field

import pytest

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.services.earnings import EarningsWatch
from dvllm_gateway.services.events import EarningsChanged, EventName, Payload


@dataclass
class World:
    """What the chain says, look by look; None is no answer."""

    totals: list[int | None]
    told: list[tuple[EventName, Payload]] = field(default_factory=list)

    async def total_wei(self) -> Wei:
        total = self.totals.pop(0)
        if total is None:
            raise NetworkUnavailable("the chain does not answer")
        return Wei(total)

    async def announce(self, name: EventName, payload: Payload) -> None:
        self.told.append((name, payload))


async def test_earnings__each_change__is_told_once() -> None:
    world = World([5, 5, 7, 7, 9])
    watch = EarningsWatch(world, world.announce)
    for _ in range(5):
        await watch.look()
    told = [EarningsChanged(Wei(7)), EarningsChanged(Wei(9))]
    assert world.told == [(EventName.EARNINGS_CHANGED, change) for change in told]


async def test_earnings__after_an_outage__the_change_in_it_is_told() -> None:
    world = World([5, None, 8])
    watch = EarningsWatch(world, world.announce)
    await watch.look()
    with pytest.raises(NetworkUnavailable):
        await watch.look()
    await watch.look()
    assert world.told == [(EventName.EARNINGS_CHANGED, EarningsChanged(Wei(8)))]
