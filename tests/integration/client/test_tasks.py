"""A task's whole way through the asynchronous client, on real contracts and a real content API."""

import asyncio

import pytest

from decentralized_vllm import (
    AsyncClient,
    InvalidReceipt,
    InvalidResponse,
    JobCancelled,
    JobExpired,
    JobFailed,
    TaskStatus,
    WaitTimeout,
)
from decentralized_vllm.protocol.errors import ContractRevert
from decentralized_vllm.protocol.generation import SamplingParameters, Usage
from decentralized_vllm.protocol.jobs import FailureCode
from decentralized_vllm.protocol.prompts import chat_prompt, parse_prompt
from decentralized_vllm.requester.node_door import NodeDoor
from tests.support.client_market import ASKER
from tests.support.local_network import MODEL
from tests.support.waiting import wait_until


async def test_submit_task__without_credit__tops_up_in_one_transaction(client, market):
    task = await client.submit_task("What is 2 + 2?", MODEL.model_id, max_tokens=20)
    balance = await client.balance()
    assert balance.credit_wei == 0
    assert balance.wallet_wei == 50 * 10**18 - task.escrow_wei
    assert task.status is TaskStatus.RUNNING
    assert task.worker == market.node.address
    assert await market.anvil.acall("eth_getTransactionCount", ASKER.address, "latest") == "0x1"
    prompt = parse_prompt(await market.store.read_bytes(task.prompt_cid, max_bytes=10_000))
    assert prompt == chat_prompt("What is 2 + 2?", SamplingParameters(max_tokens=20))


async def test_wait_for_completion__answered__is_verified_and_priced(client, market):
    task = await client.submit_task("What is 2 + 2?", MODEL.model_id)
    cid = await market.node.answer(task.id, "It is four")
    done = await client.wait_for_completion(task.id, timeout=60)
    assert (done.response, done.response_cid, done.status) == (
        "It is four",
        cid,
        TaskStatus.COMPLETED,
    )
    assert done.usage == Usage(5, 3)
    assert done.price_wei == (10**7 + 5 * 10**5 + 3 * 10**6) * 10**9
    assert done.price_wei + done.refund_wei == done.escrow_wei == task.escrow_wei
    assert done.timing.total_time >= 0
    assert done.request_tx != done.response_tx


async def test_wait_for_completion__too_short_a_timeout__says_so_and_the_job_goes_on(client):
    task = await client.submit_task("Hi", MODEL.model_id)
    with pytest.raises(WaitTimeout):
        await client.wait_for_completion(task, timeout=0.5)
    assert (await client.get_task(task)).status is TaskStatus.RUNNING


async def test_wait_for_completion__node_never_answers__ends_it_and_the_money_is_back(
    client, market
):
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.pass_time(120 + 2 + 300 + 1)
    with pytest.raises(JobExpired) as caught:
        await client.wait_for_completion(task, timeout=60)
    assert caught.value.refund_wei == task.escrow_wei
    assert (await client.balance()).credit_wei == task.escrow_wei


async def test_wait_for_completion__node_reports_bad_content__fails_with_its_code(client, market):
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.node.fail(task.id, FailureCode.CONTENT_MISSING)
    with pytest.raises(JobFailed) as caught:
        await client.wait_for_completion(task, timeout=60)
    assert caught.value.code == "content_missing"
    assert caught.value.refund_wei == task.escrow_wei - task.escrow_wei // 50


async def test_cancel_task__open__refunds_all(client, market):
    await market.node.leave()
    task = await client.submit_task("Hi", MODEL.model_id)
    assert task.status is TaskStatus.PENDING
    cancelled = await client.cancel_task(task)
    assert (cancelled.status, cancelled.refund_wei) == (TaskStatus.CANCELLED, task.escrow_wei)
    with pytest.raises(JobCancelled):
        await client.wait_for_completion(task, timeout=60)


async def in_one_block(anvil, *works):
    """Mines what they send together, in this order."""
    await anvil.acall("evm_setIntervalMining", 0)
    running = []
    for n_pending, work in enumerate(works, start=1):
        running.append(asyncio.create_task(work))
        await wait_until(
            lambda n=n_pending: int(anvil.call("txpool_status")["pending"], 16) >= n,
            what="a transaction in the pool",
        )
    await anvil.acall("evm_setIntervalMining", 1)
    return await asyncio.gather(*running, return_exceptions=True)


async def test_cancel_task__a_node_was_quicker_and_gave_back__is_cancelled_then(client, market):
    node, calls = market.node, market.network.node_calls
    await node.leave()
    task = await client.submit_task("Hi", MODEL.model_id)
    await node.send(market.network.node_registry.set_slots(8), "come back")
    taking = node.send(calls.take_job(task.id), "take")
    _, refused = await in_one_block(market.anvil, taking, client.cancel_task(task))
    assert isinstance(refused, ContractRevert)
    await node.send(market.network.node_registry.set_slots(0), "leave again")
    await node.fail(task.id, FailureCode.BUSY)
    assert (await client.cancel_task(task)).status is TaskStatus.CANCELLED


async def test_wait_for_completion__answer_of_another_request__is_refused(client, market):
    one = await client.submit_task("One", MODEL.model_id)
    other = await client.submit_task("Other", MODEL.model_id)
    signed = (await market.node.document(other.id, "Stolen")).sign(market.node.account)
    await market.node.deliver(one.id, signed.to_bytes(), signed.usage)
    with pytest.raises(InvalidResponse):
        await client.wait_for_completion(one, timeout=60)


async def test_wait_for_completion__answer_changed_after_signing__is_refused(client, market):
    task = await client.submit_task("Hi", MODEL.model_id)
    signed = (await market.node.document(task.id, "Four")).sign(market.node.account)
    forged = signed.to_bytes().replace(b'"Four"', b'"Five"')
    await market.node.deliver(task.id, forged, signed.usage)
    with pytest.raises(InvalidReceipt):
        await client.wait_for_completion(task, timeout=60)


async def test_wait_for_completion__bytes_that_are_no_document__are_refused(client, market):
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.node.deliver(task.id, b"four", None)
    with pytest.raises(InvalidResponse):
        await client.wait_for_completion(task, timeout=60)


async def test_wait_for_completion__submitted_by_a_former_client__offers_its_prompt(
    market, monkeypatch
):
    """Nobody held the job when that one ended, and nobody else has the prompt."""
    offered = asyncio.Queue()

    async def offer_blocks(door, endpoint, job_id, car):
        offered.put_nowait((job_id, car))

    monkeypatch.setattr(NodeDoor, "offer_blocks", offer_blocks)
    await market.node.leave()
    async with AsyncClient.of(market.settings(ipfs_host=None)) as former:
        task = await former.submit_task("Hi", MODEL.model_id)
    assert offered.empty()
    async with AsyncClient.of(market.settings(ipfs_host=None)) as client:
        waiting = asyncio.create_task(client.wait_for_completion(task.id, timeout=60))
        await market.node.send(market.network.node_registry.set_slots(8), "come back")
        await market.node.send(market.network.node_calls.take_job(task.id), "take")
        job_id, car = await asyncio.wait_for(offered.get(), timeout=60)
        assert job_id == task.id
        assert b"Hi" in car
        await market.node.answer(task.id, "Hello there")
        assert (await waiting).response == "Hello there"


async def test_wait_for_all__several_at_once__come_back_in_order(client, market):
    prompts = ["One", "Two", "Three"]
    tasks = await asyncio.gather(*(client.submit_task(p, MODEL.model_id) for p in prompts))
    assert len({task.id for task in tasks}) == 3
    for task in reversed(tasks):
        await market.node.answer(task.id, f"answer to {task.id}")
    done = await client.wait_for_all(tasks, timeout=60)
    assert [task.response for task in done] == [f"answer to {task.id}" for task in tasks]


async def test_wait_for_each__one_fails__its_error_stands_in_its_place(client, market):
    good = await client.submit_task("Good", MODEL.model_id)
    bad = await client.submit_task("Bad", MODEL.model_id)
    await market.node.answer(good.id, "fine")
    await market.node.fail(bad.id, FailureCode.CONTENT_INVALID)
    first, second = await client.wait_for_each([good, bad], timeout=60)
    assert first.response == "fine"
    assert isinstance(second, JobFailed)


async def test_get_task__by_a_client_without_a_key__reads_the_verified_answer(client, market):
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.node.answer(task.id, "Hello there")
    async with AsyncClient.of(market.settings(private_key=None, ipfs_host=None)) as reader:
        done = await reader.get_task(task.id)
    assert done.response == "Hello there"


async def test_tasks__of_the_account__are_listed_newest_first(client, market):
    first = await client.submit_task("One", MODEL.model_id)
    second = await client.submit_task("Two", MODEL.model_id)
    assert [task.id for task in await client.tasks()] == [second.id, first.id]
    assert [task.id for task in await client.tasks(limit=1)] == [second.id]
