"""What goes wrong around a requester: outages, lost answers, liars, two processes with one key."""

import asyncio
from urllib.parse import urlsplit

import pytest

from decentralized_vllm import (
    AsyncClient,
    ChainUnavailable,
    ContentUnavailable,
    InvalidResponse,
    JobExpired,
)
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.requester import mined, waiting
from tests.faults.proxy import Fault, FaultProxy
from tests.support.anvil import running_anvil
from tests.support.client_market import ASKER, market_on
from tests.support.local_network import MODEL

OUTAGE_S = 4.0


@pytest.fixture
async def market(tmp_path):
    with running_anvil() as anvil:
        async with market_on(anvil, tmp_path) as market:
            yield market


@pytest.fixture
async def rpc(market):
    async with FaultProxy("127.0.0.1", market.anvil.port) as proxy:
        yield proxy


def through(market, rpc):
    return AsyncClient.of(market.settings(eth_node_url=rpc.url, ws_url=None))


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.STATUS])
async def test_wait__rpc_gone_meanwhile__is_waited_out(market, rpc, fault):
    async with through(market, rpc) as client:
        task = await client.submit_task("Hi", MODEL.model_id)
        rpc.fault = fault
        rpc.cut()
        done = asyncio.create_task(client.wait_for_completion(task, timeout=90))
        await market.node.answer(task.id, "Hello there")
        await asyncio.sleep(OUTAGE_S)
        rpc.fault = None
        assert (await done).response == "Hello there"


async def test_submit__answer_to_the_send_is_lost__one_job_and_one_transaction(market, rpc):
    async with through(market, rpc) as client:
        rpc.only, rpc.times, rpc.fault = rb"eth_sendRawTransaction", 1, Fault.DROP_AFTER_ACCEPT
        task = await client.submit_task("Hi", MODEL.model_id)
    assert rpc.counts[Fault.DROP_AFTER_ACCEPT] == 1
    assert await market.network.coordinator.job_count() == task.id == 1
    assert await market.anvil.acall("eth_getTransactionCount", ASKER.address, "latest") == "0x1"


async def test_submit__mined_but_not_shown_for_a_while__is_told_as_submitted(market, rpc):
    """Who was told of an outage would ask, and pay, once more."""
    async with through(market, rpc) as client:
        rpc.only, rpc.times, rpc.fault = rb"eth_getLogs", 10, Fault.STATUS
        task = await client.submit_task("Hi", MODEL.model_id)
    assert rpc.counts[Fault.STATUS] == 10
    assert await market.network.coordinator.job_count() == task.id == 1


async def test_submit__mined_and_never_shown__says_not_to_submit_again(market, rpc, monkeypatch):
    monkeypatch.setattr(mined, "PATIENCE_S", 0.0)
    async with through(market, rpc) as client:
        rpc.only, rpc.fault = rb"eth_getLogs", Fault.STATUS
        with pytest.raises(ChainUnavailable, match=r"is mined in 0x.*do not submit it again"):
            await client.submit_task("Hi", MODEL.model_id)


@pytest.mark.parametrize("junk", [b"null", b'""', b"[{}]"])
async def test_submit__endpoint_answers_junk_for_a_while__is_asked_again(market, rpc, junk):
    async with through(market, rpc) as client:
        rpc.wrong_answer = b'{"jsonrpc":"2.0","id":"$id","result":' + junk + b"}"
        rpc.only, rpc.times, rpc.fault = rb"eth_getLogs", 6, Fault.WRONG_ANSWER
        assert (await client.submit_task("Hi", MODEL.model_id)).id == 1
    assert rpc.counts[Fault.WRONG_ANSWER] == 6


async def test_two_clients__with_one_key__take_turns(market):
    async with AsyncClient.of(market.settings()) as one, AsyncClient.of(market.settings()) as two:
        tasks = await asyncio.gather(
            *(client.submit_task("Hi", MODEL.model_id) for client in (one, two, one, two))
        )
    assert sorted(task.id for task in tasks) == [1, 2, 3, 4]


async def test_answer__nowhere_to_be_read__is_unavailable_and_not_lost(market, monkeypatch):
    monkeypatch.setattr(waiting, "ANSWER_PATIENCE_S", 3.0)
    async with AsyncClient.of(market.settings()) as client:
        task = await client.submit_task("Hi", MODEL.model_id)
        public, market.node.store = market.node.store, MemoryStore()
        cid = await market.node.answer(task.id, "Hello there")
        with pytest.raises(ContentUnavailable):
            await client.wait_for_completion(task, timeout=60)
        await public.put_block(cid, await market.node.store.get_block(cid))
        assert (await client.wait_for_completion(task, timeout=60)).response == "Hello there"


async def test_content_api__lies_about_the_answer__is_not_believed(market):
    api = urlsplit(market.server.api_url)
    async with FaultProxy(api.hostname, api.port) as proxy:
        settings = market.settings(ipfs_port=proxy.port)
        async with AsyncClient.of(settings) as client:
            task = await client.submit_task("Hi", MODEL.model_id)
            await market.node.answer(task.id, "Hello there")
            proxy.fault, proxy.only, proxy.wrong_answer = Fault.WRONG_ANSWER, b"block/get", b"{}"
            assert (await client.wait_for_completion(task, timeout=60)).response == "Hello there"


async def test_node__delivers_something_huge__is_refused_unread(market):
    async with AsyncClient.of(market.settings()) as client:
        task = await client.submit_task("Hi", MODEL.model_id)
        await market.node.deliver(task.id, b"[" * (9 << 20), None)
        with pytest.raises(Exception, match="bytes") as caught:
            await client.wait_for_completion(task, timeout=60)
    assert type(caught.value).__name__ in ("ContentTooLarge", "InvalidResponse")


async def test_node__delivers_deep_json__is_refused(market):
    async with AsyncClient.of(market.settings()) as client:
        task = await client.submit_task("Hi", MODEL.model_id)
        await market.node.deliver(task.id, b"[" * 500_000, None)
        with pytest.raises(InvalidResponse, match="deeper"):
            await client.wait_for_completion(task, timeout=60)


async def test_overdue_job__ended_by_somebody_else__is_told_all_the_same(market):
    async with AsyncClient.of(market.settings(expire_overdue=False)) as client:
        task = await client.submit_task("Hi", MODEL.model_id)
        await market.pass_time(120 + 2 + 300 + 1)
        await market.node.send(market.network.node_calls.expire_job(task.id), "expire")
        with pytest.raises(JobExpired) as caught:
            await client.wait_for_completion(task, timeout=60)
    assert caught.value.refund_wei == task.escrow_wei
