"""F1–F9, F11: endpoints that refuse, hang, lie, lag or vanish under feed and sender."""

import asyncio
import json
from pathlib import Path

import pytest

from decentralized_vllm.chain.chain_view import read_view
from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.chain.feed import FeedSettings
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.errors import ChainUnavailable, WrongChain
from decentralized_vllm.protocol.events import InferenceRequested
from decentralized_vllm.protocol.ids import Address
from tests.faults.proxy import Fault, FaultProxy
from tests.support.anvil import Anvil
from tests.support.local_network import (
    MODEL,
    PROMPT_CID,
    REQUESTER,
    connected,
    feeding,
    sending,
)

OUTAGES = [
    Fault.REFUSE,
    Fault.HANG,
    Fault.DRIP,
    Fault.TRUNCATE,
    Fault.DROP_AFTER_ACCEPT,
    Fault.STATUS,
    Fault.WRONG_ANSWER,
]


@pytest.mark.parametrize("fault", OUTAGES)
async def test_read__endpoint_misbehaves__chain_unavailable_and_well_again_after(
    network: Network, proxy: FaultProxy, fault: Fault
) -> None:
    proxy.fault = fault
    with pytest.raises(ChainUnavailable):
        await network.coordinator.job_count()
    proxy.fault = None
    assert await network.coordinator.job_count() == 0


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG, Fault.STATUS])
async def test_read__first_endpoint_out__second_answers(
    deployment: Deployment, anvil: Anvil, proxy: FaultProxy, fault: Fault
) -> None:
    async with connected(deployment, proxy.url, anvil.url, timeout_s=0.5) as network:
        proxy.fault = fault
        assert await network.coordinator.job_count() == 0


async def test_read__burst_of_429__outlived(network: Network, proxy: FaultProxy) -> None:
    proxy.fault, proxy.status, proxy.times = Fault.STATUS, 429, 3
    assert await network.coordinator.job_count() == 0
    assert proxy.counts[Fault.STATUS] == 3


async def test_read__endpoint_takes_no_batches__asked_one_by_one(
    network: Network, proxy: FaultProxy
) -> None:
    proxy.fault, proxy.only = Fault.WRONG_ANSWER, rb"\r\n\r\n *\["
    proxy.wrong_answer = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}'
    for _ in range(2):
        view = await read_view(network.rpc, Address(REQUESTER.address))
        assert view.block_number > 0
    assert proxy.counts[Fault.WRONG_ANSWER] == 1


async def test_read__another_chain_behind_the_name_after_a_fault__wrong_chain(
    network: Network, proxy: FaultProxy
) -> None:
    proxy.fault = Fault.STATUS
    with pytest.raises(ChainUnavailable):
        await network.coordinator.job_count()
    serve_chain(proxy, 5)
    with pytest.raises(WrongChain, match="eth_node_url"):
        await network.coordinator.job_count()


def serve_chain(proxy: FaultProxy, chain_id: int) -> None:
    proxy.fault, proxy.only = Fault.WRONG_ANSWER, b"eth_chainId"
    answer = {"jsonrpc": "2.0", "id": "$id", "result": hex(chain_id)}
    proxy.wrong_answer = json.dumps(answer).encode()


async def test_enter__endpoints_of_two_chains__wrong_chain_names_the_setting(
    anvil: Anvil, proxy: FaultProxy
) -> None:
    serve_chain(proxy, 1)
    with pytest.raises(WrongChain, match="eth_node_url"):
        async with Rpc([anvil.url, proxy.url]):
            pass


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG, Fault.TRUNCATE])
async def test_feed__endpoint_out_while_jobs_arrive__told_after_the_outage(
    network: Network,
    deployment: Deployment,
    anvil: Anvil,
    proxy: FaultProxy,
    tmp_path: Path,
    fault: Fault,
) -> None:
    async with feeding(network, tmp_path) as feed, connected(deployment, anvil.url) as direct:
        told: list[int] = []

        async def follow() -> None:
            async for batch in feed.batches():
                told.extend(e.job_id for e in batch.events if isinstance(e, InferenceRequested))
                await feed.advance(batch.cursor)
                if len(told) == 3:
                    return

        task = asyncio.create_task(follow())
        async with sending(direct, REQUESTER, tmp_path) as sender:
            for i in range(3):
                if i == 1:
                    proxy.fault = fault
                    proxy.cut()
                call = direct.requester_calls.submit_prompt(PROMPT_CID, MODEL.model_id)
                await sender.send(call, key=f"job {i}")
                await sender.wait(f"job {i}")
        await asyncio.sleep(1)
        proxy.fault = None
        await asyncio.wait_for(task, 30)
        assert told == [1, 2, 3]


async def test_feed__websocket_half_open__polling_tells_all_the_same(
    deployment: Deployment, anvil: Anvil, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.fault, proxy.only = Fault.HANG, b"(?i)upgrade: websocket"
    async with (
        connected(deployment, anvil.url, ws_url=proxy.ws_url) as network,
        feeding(network, tmp_path, settings=FeedSettings(poll_s=0.1)) as feed,
        sending(network, REQUESTER, tmp_path) as sender,
    ):
        call = network.requester_calls.submit_prompt(PROMPT_CID, MODEL.model_id)
        await sender.send(call, key="job")
        async with asyncio.timeout(10):
            async for batch in feed.batches():
                if any(isinstance(event, InferenceRequested) for event in batch.events):
                    break


async def test_feed__websocket_cut__connected_again_and_the_gap_is_told(
    deployment: Deployment, anvil: Anvil, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Polling is too slow to help: only the hints of a new connection can."""
    settings = FeedSettings(poll_s=3600)
    async with (
        connected(deployment, anvil.url, ws_url=proxy.ws_url) as network,
        feeding(network, tmp_path, settings=settings) as feed,
        sending(network, REQUESTER, tmp_path) as sender,
    ):
        batches = feed.batches()
        await feed.advance((await anext(batches)).cursor)
        proxy.fault = Fault.REFUSE
        proxy.cut()
        call = network.requester_calls.submit_prompt(PROMPT_CID, MODEL.model_id)
        await sender.send(call, key="in the gap")
        await sender.wait("in the gap")
        proxy.fault = None
        async with asyncio.timeout(20):
            async for batch in batches:
                if any(isinstance(event, InferenceRequested) for event in batch.events):
                    break


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER_ACCEPT, Fault.WRONG_ANSWER])
async def test_send__accepted_but_not_acknowledged__mined_once(
    network: Network, proxy: FaultProxy, tmp_path: Path, fault: Fault
) -> None:
    """F2 and F3. The wrong answer is an error for a transaction that the node never saw."""
    proxy.wrong_answer = b'{"jsonrpc":"2.0","id":"$id","error":{"code":-32000,"message":"no"}}'
    proxy.fault, proxy.only, proxy.times = fault, b"eth_sendRawTransaction", 2
    async with sending(network, REQUESTER, tmp_path) as sender:
        call = network.requester_calls.submit_prompt(PROMPT_CID, MODEL.model_id)
        tx_hash = await sender.send(call, key="job")
        receipt = await mined_as_blocks_go_on(network, sender)
        assert receipt.tx_hash == tx_hash
        assert await network.coordinator.job_count() == 1


async def mined_as_blocks_go_on(network, sender):
    """Blocks go on while the sender waits, as on any chain."""
    waiter = asyncio.create_task(sender.wait("job"))
    while not waiter.done():
        await network.rpc.call("anvil_mine", "0x1")
        await asyncio.sleep(0.2)
    return waiter.result()


async def test_send__endpoint_out_from_broadcast_on__mined_after_the_outage(
    network: Network, proxy: FaultProxy, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        proxy.fault, proxy.only = Fault.REFUSE, b"eth_sendRawTransaction|eth_getTransactionCount"
        call = network.requester_calls.submit_prompt(PROMPT_CID, MODEL.model_id)
        with pytest.raises(ChainUnavailable):
            await sender.send(call, key="job")  # nothing is signed before the chain was seen
        proxy.fault = None
        proxy.fault, proxy.only = Fault.REFUSE, b"eth_sendRawTransaction"
        tx_hash = await sender.send(call, key="job")
        await asyncio.sleep(1)
        proxy.fault = None
        assert (await mined_as_blocks_go_on(network, sender)).tx_hash == tx_hash
