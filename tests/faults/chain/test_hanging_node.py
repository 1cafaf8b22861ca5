"""A node that takes requests and never answers, beside one that does: nobody waits long for it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from decentralized_vllm.chain import endpoint
from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.events import InferenceRequested
from tests.faults.proxy import Fault, FaultProxy
from tests.support.anvil import Anvil
from tests.support.local_network import REQUESTER, connected, feeding, prompt_call, sending

FOR_EVER_S = 600.0  # what a request may take where no other node is well
WATCHDOG_S = 60.0


@pytest.fixture
async def two(deployment: Deployment, proxy: FaultProxy, anvil: Anvil) -> AsyncIterator[Network]:
    """The first goes through the proxy, which hangs once a test says so."""
    async with connected(deployment, proxy.url, anvil.url, timeout_s=FOR_EVER_S) as network:
        yield network


async def test_read__first_node_hangs__the_other_answers(two: Network, proxy: FaultProxy) -> None:
    proxy.fault = Fault.HANG
    async with asyncio.timeout(WATCHDOG_S):
        assert await two.coordinator.job_count() == 0


async def test_feed__first_node_hangs__told_by_the_other(
    two: Network, proxy: FaultProxy, tmp_path: Path
) -> None:
    async with sending(two, REQUESTER, tmp_path) as sender:
        await sender.send(prompt_call(two), key="job")
        await sender.wait("job")
    proxy.fault = Fault.HANG
    async with feeding(two, tmp_path) as feed, asyncio.timeout(WATCHDOG_S):
        batch = await anext(feed.batches())
    assert [event.job_id for event in batch.events if isinstance(event, InferenceRequested)] == [1]


async def test_send__one_node_never_says_whether_it_took_it__mined_meanwhile(
    two: Network, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.only, proxy.fault = rb"eth_sendRawTransaction", Fault.HANG
    async with sending(two, REQUESTER, tmp_path) as sender, asyncio.timeout(WATCHDOG_S):
        for key in ("first", "second", "third"):
            await sender.send(prompt_call(two), key=key)
            await sender.wait(key)
    assert await two.coordinator.job_count() == 3


async def test_broadcast__node_that_failed_before_hangs__not_waited_for_once_it_is_taken(
    two: Network, proxy: FaultProxy, anvil: Anvil
) -> None:
    proxy.fault = Fault.STATUS
    for _ in range(8):  # it rests for long then
        await two.rpc.broadcast(["0x00"])
    proxy.fault = Fault.HANG
    taken = anvil.call("eth_getTransactionCount", REQUESTER.address, "latest")
    raw = REQUESTER.sign_transaction(
        {"to": REQUESTER.address, "value": 0, "gas": 21_000, "gasPrice": 10**11}
        | {"nonce": int(taken, 16), "chainId": two.rpc.chain_id}
    ).raw_transaction.hex()
    async with asyncio.timeout(WATCHDOG_S):
        ((answer,),) = await two.rpc.broadcast([f"0x{raw.removeprefix('0x')}"])
    assert isinstance(answer, str)


async def test_read__both_slower_than_that__waited_for(
    two: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "HURRIED_TIMEOUT_S", 1e-6, raising=False)
    assert await two.coordinator.job_count() == 0
