"""Storing at once: both are durable, or neither, and no promise is left behind."""

import asyncio
from typing import Any

import pytest

from decentralized_vllm.chain.intake import Sending
from decentralized_vllm.chain.preparation import Simulation
from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    DvllmError,
    InsufficientGas,
    StorageBusy,
    StorageFull,
)
from decentralized_vllm.protocol.ids import Address, Cid, ModelId, Wei
from decentralized_vllm.protocol.transactions import Call
from decentralized_vllm.requester.tasks import Balance
from dvllm_gateway.errors import GatewayError, InsufficientBalance, NetworkUnavailable, NoCapacity
from dvllm_gateway.ids import TaskId
from dvllm_gateway.market.stored import AtOnce, NewSubmission, NotStored, until_closed
from dvllm_gateway.market.till import Till, TillSettings
from dvllm_gateway.services.task_market import Order

CALL = Call(Address("0x" + "11" * 20), b"", "submitPrompt")
ORDER = Order(TaskId("task"), ModelId("model"), b"{}", Cid("bafy"), Wei(1), 0, Wei(60), node=None)
NEW = NewSubmission("task:task", CALL, Simulation(1, Wei(1)), lambda _: None)
CREDIT_WEI = Wei(100)
TOO_POOR = InsufficientBalance(
    "too little", required_wei=Wei(2), available_wei=Wei(1), balance_wei=Wei(1)
)


class Sender:
    def __init__(self, failure: Exception | None = None, *, is_ready: bool = True) -> None:
        self.is_ready = is_ready
        self.stored: list[str] = []
        self._failure = failure

    async def store_new(self, call: Call, *, key: str, **_: Any) -> Sending:
        if self._failure is not None:
            raise self._failure
        self.stored.append(key)
        new_future = asyncio.get_running_loop().create_future
        return Sending(None, new_future(), new_future())  # type: ignore[arg-type]


async def till_with(credit_wei: Wei = CREDIT_WEI) -> Till:
    async def balance() -> Balance:
        return Balance(CALL.to, credit_wei, Wei(0), Wei(10**18))

    till = Till(None, balance, TillSettings(low_wei=Wei(0)))  # type: ignore[arg-type]
    await till.look()
    return till


async def test_store__nothing_to_wait_for__stored_and_promised() -> None:
    sender, till = Sender(), await till_with()
    assert await AtOnce(sender, till).store(ORDER, NEW) is not None
    assert (sender.stored, till.free_wei) == (["task:task"], CREDIT_WEI - ORDER.escrow_wei)


@pytest.mark.parametrize(("is_ready", "credit_wei"), [(False, CREDIT_WEI), (True, Wei(59))])
async def test_store__something_to_wait_for__nothing_happens(
    is_ready: bool, credit_wei: Wei
) -> None:
    sender, till = Sender(is_ready=is_ready), await till_with(credit_wei)
    assert await AtOnce(sender, till).store(ORDER, NEW) is None
    assert (sender.stored, till.free_wei) == ([], credit_wei)


@pytest.mark.parametrize("failure", [InsufficientGas("no gas"), ChainUnavailable("silent")])
async def test_store__fails_before__neither_is_stored_and_nothing_promised(
    failure: DvllmError,
) -> None:
    till = await till_with()
    with pytest.raises(NotStored) as told:
        await AtOnce(Sender(failure), till).store(ORDER, NEW)
    assert told.value.__cause__ is failure
    await till.look()
    assert till.free_wei == CREDIT_WEI


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (StorageBusy("locked"), NetworkUnavailable),
        (StorageFull("no space"), NoCapacity),
        (TOO_POOR, InsufficientBalance),
        (asyncio.CancelledError(), NetworkUnavailable),
    ],
)
async def test_store__fails__told_in_the_gateways_words_and_nothing_promised(
    failure: Exception, told: type[GatewayError]
) -> None:
    till = await till_with()
    with pytest.raises(told):
        await AtOnce(Sender(failure), till).store(ORDER, NEW)
    await till.look()
    assert till.free_wei == CREDIT_WEI


async def wait_for(future: asyncio.Future[None]) -> None:
    with until_closed():
        await future


async def test_until_closed__what_is_waited_for_is_cancelled__told() -> None:
    future = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(wait_for(future))
    await asyncio.sleep(0)
    future.cancel()
    with pytest.raises(NetworkUnavailable, match="stopped"):
        await waiting


async def test_until_closed__whoever_waits_is_cancelled__cancelled() -> None:
    waiting = asyncio.create_task(wait_for(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
