"""The sender against a real chain: once per key, mined whatever happens on the way."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from decentralized_vllm.chain import intake as intake_module
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.chain.store.tables import outbox_attempt, outbox_transaction
from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    ContractRevert,
    InsufficientFunds,
    InsufficientGas,
    KeyInUse,
    TransactionFailed,
    UnknownJob,
    UnknownModel,
)
from decentralized_vllm.protocol.ids import Address, JobId, ModelId, Wei
from decentralized_vllm.protocol.units import tokens
from tests.support.anvil import Anvil
from tests.support.local_network import (
    NODE,
    PROMPT_CID,
    REQUESTER,
    prompt_call,
    quick_settings,
    sending,
    submit,
)
from tests.support.waiting import wait_until


async def test_send__same_key_twice_at_once__one_transaction(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        call = prompt_call(network)
        hashes = await asyncio.gather(*(sender.send(call, key="same") for _ in range(5)))
        receipt = await sender.wait("same")
        assert set(hashes) == {receipt.tx_hash}
        assert await network.coordinator.job_count() == 1


async def test_send__many_at_once__each_mined_once(network: Network, tmp_path: Path) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        keys = [f"job {i}" for i in range(40)]
        await asyncio.gather(*(sender.send(prompt_call(network), key=key) for key in keys))
        receipts = await asyncio.gather(*(sender.wait(key) for key in keys))
        assert len({receipt.tx_hash for receipt in receipts}) == 40
        assert await network.coordinator.job_count() == 40


async def test_send__more_than_may_be_in_flight__waits_for_room(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    settings = replace(quick_settings(network), max_in_flight=2)
    async with sending(network, REQUESTER, tmp_path, settings=settings) as sender:
        anvil.call("evm_setAutomine", False)
        sends = [
            asyncio.create_task(sender.send(prompt_call(network), key=f"job {i}")) for i in range(3)
        ]
        done, waiting = await asyncio.wait(sends, timeout=0.5)
        assert (len(done), len(waiting)) == (2, 1)
        sent_before = sender.send(prompt_call(network), key="job 0")
        assert await asyncio.wait_for(sent_before, 5) in {task.result() for task in done}
        anvil.mine()
        await asyncio.wait_for(asyncio.gather(*waiting), 10)


@pytest.mark.parametrize(
    ("calls", "error"),
    [
        (lambda n: n.requester_calls.submit_prompt(PROMPT_CID, ModelId("none")), UnknownModel),
        (lambda n: n.requester_calls.cancel_job(JobId(99)), UnknownJob),
        (lambda n: n.requester_calls.withdraw(tokens(10**6)), InsufficientFunds),
        (lambda n: n.token.transfer(n.coordinator.address, tokens(10**6)), InsufficientFunds),
        (lambda n: n.node_calls.resume(), ContractRevert),
    ],
)
async def test_send__call_that_reverts__typed_error_and_nothing_sent(
    network: Network, tmp_path: Path, calls, error
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        nonce = await network.rpc.call("eth_getTransactionCount", REQUESTER.address, "pending")
        with pytest.raises(error):
            await sender.send(calls(network), key="wrong")
        assert nonce == await network.rpc.call(
            "eth_getTransactionCount", REQUESTER.address, "pending"
        )
        with pytest.raises(TransactionFailed, match="nothing was sent"):
            await sender.wait("wrong")


async def test_wait__reverts_in_the_block_though_simulation_passed__its_reason(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        job_id = await submit(network, sender, "job")
        anvil.call("evm_setAutomine", False)
        cancel = network.requester_calls.cancel_job(job_id)
        await sender.send(cancel, key="first")
        await sender.send(cancel, key="second")
        anvil.mine()
        await sender.wait("first")
        with pytest.raises(ContractRevert) as caught:
            await sender.wait("second")
        assert caught.value.name == "WrongStatus"


async def test_send__no_gas_money__insufficient_gas(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        await submit(network, sender, "rich")
        anvil.call("anvil_setBalance", REQUESTER.address, hex(10**9))
        with pytest.raises(InsufficientGas):  # seen at once
            await sender.send(prompt_call(network), key="poor")
        anvil.call("anvil_setBalance", REQUESTER.address, hex(10**18))
        await sender.send(prompt_call(network), key="poor")  # seen at once


async def test_store_new__just_simulated__mined_and_known_by_its_key(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        call = prompt_call(network)
        new = await sender.store_new(call, key="new", simulation=await sender.simulate(call))
        sent = (await new.offered).latest.hash
        assert (await sender.wait("new")).tx_hash == sent
        assert await sender.send(call, key="new") == sent
        assert await network.coordinator.job_count() == 1


async def test_simulate__call_that_reverts__its_reason(network: Network, tmp_path: Path) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        with pytest.raises(UnknownJob):
            await sender.simulate(network.requester_calls.cancel_job(JobId(99)))


async def test_enter__key_held_by_another_sender__key_in_use(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, NODE, tmp_path):
        with pytest.raises(KeyInUse, match="private_key"):
            async with sending(network, NODE, tmp_path):
                pass
    async with sending(network, NODE, tmp_path):
        pass


async def test_run__stopped__waiters_are_told(
    network: Network, anvil: Anvil, tmp_path: Path
) -> None:
    anvil.call("evm_setAutomine", False)
    async with sending(network, REQUESTER, tmp_path) as sender:
        await sender.send(prompt_call(network), key="waits")
        waiter = asyncio.create_task(sender.wait("waits"))
        await asyncio.sleep(0.1)
    with pytest.raises(ChainUnavailable, match="stopped"):
        await asyncio.wait_for(waiter, 5)


async def test_simulate__stopped_and_full__told_instead_of_waiting_for_room(
    network: Network, anvil: Anvil, tmp_path: Path
) -> None:
    anvil.call("evm_setAutomine", False)
    settings = replace(quick_settings(network), max_in_flight=1)
    async with sending(network, REQUESTER, tmp_path, settings=settings) as sender:
        await sender.send(prompt_call(network), key="fills it")
    with pytest.raises(ChainUnavailable, match="stopped"):
        await asyncio.wait_for(sender.simulate(prompt_call(network)), 5)


async def test_send__restarted_before_it_was_mined__resumes_from_the_outbox(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    anvil.call("evm_setAutomine", False)
    async with sending(network, REQUESTER, tmp_path) as sender:
        tx_hash = await sender.send(prompt_call(network), key="survives")
    anvil.call("anvil_dropTransaction", tx_hash)
    anvil.call("evm_setAutomine", True)
    async with sending(network, REQUESTER, tmp_path) as sender:
        receipt = await asyncio.wait_for(sender.wait("survives"), 10)
        assert await sender.send(prompt_call(network), key="survives") == tx_hash
    assert receipt.tx_hash == tx_hash
    assert await network.coordinator.job_count() == 1


async def test_send__ran_out_of_gas_in_the_block__sent_once_more_with_double(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate is forged: too little for a first try, enough when doubled."""
    monkeypatch.setattr(intake_module, "gas_limit", lambda estimate, **_: estimate * 2 // 3)
    requester = Address(REQUESTER.address)
    credit_wei = await network.coordinator.credit(requester)
    async with sending(network, REQUESTER, tmp_path) as sender:
        first = await sender.send(network.requester_calls.deposit(Wei(7)), key="long")
        receipt = await asyncio.wait_for(sender.wait("long"), 10)
        assert receipt.tx_hash != first
        assert await network.coordinator.credit(requester) == credit_wei + 7


async def test_send__never_enough_gas__failed_and_said_so(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "gas_limit", lambda estimate, **_: estimate * 2 // 3)
    settings = replace(quick_settings(network), max_gas=1)
    async with sending(network, REQUESTER, tmp_path, settings=settings) as sender:
        await sender.send(network.requester_calls.deposit(Wei(7)), key="long")
        with pytest.raises(TransactionFailed, match="ran out of gas"):
            await asyncio.wait_for(sender.wait("long"), 10)


async def test_send__deadline_already_passed__nothing_sent(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        now_s = await network.jobs.chain_time_s()
        with pytest.raises(TransactionFailed, match="deadline has passed"):
            await sender.send(prompt_call(network), key="late", deadline_s=now_s - 1)


async def test_send__needs_more_gas_than_allowed__refused(network: Network, tmp_path: Path) -> None:
    settings = replace(quick_settings(network), max_gas=50_000)
    async with sending(network, REQUESTER, tmp_path, settings=settings) as sender:
        with pytest.raises(TransactionFailed, match="more than the limit of 50000"):
            await sender.send(prompt_call(network), key="huge")


async def test_settle__deep_enough__no_longer_watched_but_still_known(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    settings = replace(quick_settings(network), finality_blocks=4)
    async with sending(network, REQUESTER, tmp_path, settings=settings) as sender:
        tx_hash = await sender.send(prompt_call(network), key="old")
        receipt = await sender.wait("old")
        anvil.mine(6)
        await asyncio.sleep(0.3)
        assert sender._outbox.is_empty
        assert await sender.wait("old") == receipt
        assert await sender.send(prompt_call(network), key="old") == tx_hash


async def test_settle__settled_for_longer_than_they_are_kept__forgotten(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    settings = replace(quick_settings(network), finality_blocks=4, keep_settled_s=100)
    async with sending(network, REQUESTER, tmp_path, settings=settings) as sender:
        for name, seconds in (("old", 60), ("younger", 60), ("newest", 0)):
            await submit(network, sender, name)
            anvil.mine(6)
            await wait_until(lambda: sender._outbox.is_empty, what=f"{name} settled")
            anvil.call("evm_increaseTime", seconds)
        with pytest.raises(TransactionFailed, match="nothing was sent"):
            await sender.wait("old")
        assert await sender.wait("younger") != await sender.wait("newest")
    async with Database(tmp_path / f"{REQUESTER.address}.sqlite") as database:
        assert await database.transaction(keys_of_attempts) == ["newest", "younger"]


def keys_of_attempts(tx: Connection) -> list[str]:
    rows = select(outbox_transaction.c.key).join(outbox_attempt)
    return sorted(tx.execute(rows).scalars())
