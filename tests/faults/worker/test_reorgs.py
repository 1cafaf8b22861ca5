"""A lease vanishes with its block: nothing is delivered to another job of the same number."""

import asyncio

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.protocol.ids import Address, Cid, JobId
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.transactions import Call
from decentralized_vllm.protocol.units import tokens
from tests.support.anvil import development_account
from tests.support.local_network import sending
from tests.support.worker_network import MODEL_ID, WorkerNetwork

FICKLE = development_account(6)


async def fund(net: WorkerNetwork) -> None:
    call = net.network.token.transfer(Address(FICKLE.address), tokens(100))
    await net.requester.send(call, key="fund the fickle one")
    await net.requester.wait("fund the fickle one")
    async with sending(net.network, FICKLE, net.folder) as sender:
        await do(sender, net.network.token.approve(net.network.coordinator.address, tokens(100)))
        await do(sender, net.network.requester_calls.deposit(tokens(50)))


async def do(sender: OutboxSender, call: Call) -> None:
    await sender.send(call, key=call.label)
    await sender.wait(call.label)


async def submit_and_forget(net: WorkerNetwork, prompt: bytes) -> Cid:
    """By a key whose sender is gone at once: what a re-organisation drops stays dropped."""
    cid = await net.store.add_bytes(prompt)
    async with sending(net.network, FICKLE, net.folder) as sender:
        await do(sender, net.network.requester_calls.submit_prompt(cid, MODEL_ID))
    return cid


async def test_request_vanishes_while_generating__same_number_other_prompt__answers_that(
    net: WorkerNetwork,
) -> None:
    with net.worker(**{"engine.null": {"first_token_s": 2.0}}) as worker:
        await net.enlist(worker)
        await fund(net)
        worker.start()
        await worker.on_duty()
        await submit_and_forget(net, b"the first prompt")
        await worker.logged('"stage": "generating"')
        await net.anvil.acall("anvil_reorg", 1, [])
        job_id = await net.submit(b"the second prompt")
        assert job_id == JobId(1)
        await net.reaches(job_id, JobStatus.DELIVERED)
        assert (await net.answer(job_id)).text.startswith("the second prompt")
        await worker.logged('"stage": "lost"')
        assert worker.stages(1).count("final") <= 1


async def test_request_vanishes_for_good__lease_is_let_go(net: WorkerNetwork) -> None:
    with net.worker(**{"engine.null": {"first_token_s": 3.0}}) as worker:
        await net.enlist(worker)
        await fund(net)
        n_before = await net.sent_by(worker.account)
        worker.start()
        await worker.on_duty()
        await submit_and_forget(net, b"a prompt without a future")
        await worker.logged('"stage": "generating"')
        await net.anvil.acall("anvil_reorg", 1, [])
        await net.anvil.acall("anvil_mine", "0x2")
        await worker.logged("re-organised")
        later = await net.submit(b"life goes on")
        await net.reaches(later, JobStatus.DELIVERED)
        assert (await net.answer(later)).text.startswith("life goes on")
        assert await net.sent_by(worker.account) == n_before + 1


async def test_request_vanishes_while_it_is_handed_back__same_number_other_prompt__answers_that(
    net: WorkerNetwork,
) -> None:
    """Else its requester would pay for what was wrong with another's prompt."""
    with net.worker() as worker:
        await net.enlist(worker)
        await fund(net)
        worker.start()
        await worker.on_duty()
        await net.anvil.acall("evm_setIntervalMining", 0)
        async with sending(net.network, FICKLE, net.folder) as fickle:
            await submit_unmined(net, fickle, b'{"version": 1, "nothing": "that a prompt has"}')
        await net.anvil.acall("evm_mine")
        await drop(net, await pending_of(net, worker.account))
        await net.anvil.acall("anvil_reorg", 1, [])
        await submit_unmined(net, net.requester, b"a prompt like any other")
        await net.anvil.acall("evm_mine")
        await net.anvil.acall("evm_setIntervalMining", 1)
        await net.reaches(JobId(1), JobStatus.DELIVERED)
        assert (await net.answer(JobId(1))).text.startswith("a prompt like any other")


async def submit_unmined(net: WorkerNetwork, sender: OutboxSender, prompt: bytes) -> None:
    cid = await net.store.add_bytes(prompt)
    call = net.network.requester_calls.submit_prompt(cid, MODEL_ID)
    await sender.send(call, key=f"submit {cid}")


async def pending_of(net: WorkerNetwork, account: LocalAccount) -> str:
    """The transaction of this account that waits for a block, once there is one."""
    while True:
        pool = await net.anvil.acall("txpool_content")
        mine = {who.lower(): of for who, of in pool["pending"].items()}.get(account.address.lower())
        if mine:
            return next(iter(mine.values()))["hash"]
        await asyncio.sleep(0.05)


async def drop(net: WorkerNetwork, tx_hash: str) -> None:
    await net.anvil.acall("anvil_dropTransaction", tx_hash)
