"""Which submissions are simulated, and which go by what another was seen to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from decentralized_vllm.chain.preparation import Simulation
from decentralized_vllm.protocol.errors import DvllmError, InsufficientFunds
from decentralized_vllm.protocol.ids import Address, Cid, ModelId, Wei
from decentralized_vllm.protocol.transactions import Call
from dvllm_gateway.ids import TaskId
from dvllm_gateway.market.simulations import FRESH_S, RENEWED_AFTER_S, Simulations
from dvllm_gateway.services.task_market import Order
from tests.support.scripted_market import NODE, OTHER_NODE

CALL = Call(Address("0x" + "11" * 20), b"", "submitPrompt")
ORDER = Order(TaskId("task"), ModelId("model"), b"{}", Cid("bafy"), Wei(1), 0, Wei(1), node=None)

STEPS = 10  # of the loop: more than there is to do, since nothing here has to be waited for


class Sender:
    """Answers with one more gas each time, so that one answer is told from another."""

    def __init__(self) -> None:
        self.n_asked = 0
        self.failure: DvllmError | None = None

    async def simulate(self, call: Call) -> Simulation:
        self.n_asked += 1
        if self.failure is not None:
            raise self.failure
        return Simulation(self.n_asked, Wei(10**18))


class Desk:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.sender = Sender()
        self.simulations = Simulations(self.sender, clock_s=lambda: self.now_s)

    async def gas(self, order: Order = ORDER) -> int | None:
        simulation = await self.simulations.of(order, CALL)
        return None if simulation is None else simulation.gas

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.simulations.run())
        yield
        for _ in range(STEPS):
            await asyncio.sleep(0)
        running.cancel()


async def test_simulations__another_of_its_kind_within_a_block__is_not_simulated_again() -> None:
    desk = Desk()
    assert await desk.gas() == 1
    other = replace(ORDER, task_id=TaskId("other"), prompt_cid=Cid("bafz"), ceiling_wei=Wei(2))
    assert await desk.gas(other) == 1


async def test_simulations__later__is_simulated_again() -> None:
    desk = Desk()
    assert await desk.gas() == 1
    desk.now_s += FRESH_S
    assert await desk.gas() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"model_id": ModelId("other")},
        {"node": NODE},
        {"share": 50},
        {"prompt_cid": Cid("Qm" + "a" * 44)},
    ],
)
async def test_simulations__what_the_chain_takes_otherwise__is_simulated_by_itself(
    change: dict[str, Any],
) -> None:
    desk = Desk()
    assert await desk.gas(replace(ORDER, node=OTHER_NODE)) == 1
    assert await desk.gas(replace(ORDER, **change)) == 2


async def test_simulations__one_that_fails__says_nothing_of_the_next() -> None:
    desk = Desk()
    desk.sender.failure = InsufficientFunds("short")
    assert await desk.gas() is None
    desk.sender.failure = None
    assert await desk.gas() == 2


async def test_simulations__one_that_the_chain_refused__next_is_simulated() -> None:
    desk = Desk()
    assert await desk.gas() == 1
    desk.simulations.forget(ORDER)
    assert await desk.gas() == 2


async def test_simulations__more_of_a_kind_come__each_is_known_at_once() -> None:
    desk = Desk()
    assert await desk.gas() == 1
    for n_asked in (1, 2, 3):
        desk.now_s += RENEWED_AFTER_S
        async with desk.running():
            known = desk.simulations.known(ORDER)
        assert known is not None
        assert (known.gas, desk.sender.n_asked) == (n_asked, n_asked + 1)


async def test_simulations__no_more_of_a_kind__is_not_asked_for() -> None:
    desk = Desk()
    assert await desk.gas() == 1
    desk.now_s += RENEWED_AFTER_S
    async with desk.running():
        pass
    assert desk.sender.n_asked == 1


async def test_simulations__renewal_fails__is_known_until_it_is_too_old() -> None:
    desk = Desk()
    assert await desk.gas() == 1
    desk.sender.failure = InsufficientFunds("short")
    desk.now_s += RENEWED_AFTER_S
    async with desk.running():
        assert desk.simulations.known(ORDER) is not None
    assert desk.simulations.known(ORDER) is not None
    desk.now_s += FRESH_S
    assert desk.simulations.known(ORDER) is None


async def test_simulations__one_of_many_kinds_is_refused_meanwhile__others_are_renewed() -> None:
    desk = Desk()
    other = replace(ORDER, share=50)
    assert (await desk.gas(), await desk.gas(other)) == (1, 2)
    desk.now_s += RENEWED_AFTER_S
    desk.simulations.known(ORDER)
    desk.simulations.known(other)
    desk.simulations.forget(ORDER)
    async with desk.running():
        pass
    assert desk.simulations.known(ORDER) is None
    assert await desk.gas(other) == 3


async def test_simulations__too_old__is_simulated_by_who_needs_it_and_not_twice() -> None:
    desk = Desk()
    assert await desk.gas() == 1
    desk.now_s += FRESH_S
    async with desk.running():
        assert await desk.gas() == 2
    assert desk.sender.n_asked == 2
