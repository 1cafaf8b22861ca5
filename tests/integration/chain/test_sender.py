"""The sender against a real chain: once per key, mined whatever happens on the way."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from decentralized_vllm.chain import intake as intake_module
from decentralized_vllm.chain.confirmation import Patience
from decentralized_vllm.chain.fees import FeePolicy
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
from decentralized_vllm.protocol.transactions import Call
from decentralized_vllm.protocol.units import gwei, tokens
from tests.support.anvil import Anvil
from tests.support.local_network import (
    MODEL,
    NODE,
    PROMPT_CID,
    REQUESTER,
    quick_settings,
    sending,
    submit,
)
from tests.support.waiting import wait_until


def prompt_call(network: Network) -> Call:
    return network.requester_calls.submit_prompt(PROMPT_CID, MODEL.model_id)


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


async def test_send_new__just_simulated__mined_and_known_by_its_key(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        call = prompt_call(network)
        sent = await sender.send_new(call, key="new", simulation=await sender.simulate(call))
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


async def test_send__dropped_from_the_mempool__offered_again(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        anvil.call("evm_setAutomine", False)
        tx_hash = await sender.send(prompt_call(network), key="dropped")
        anvil.call("anvil_dropTransaction", tx_hash)
        anvil.mine(2)
        await asyncio.sleep(0.3)
        anvil.mine(1)
        receipt = await asyncio.wait_for(sender.wait("dropped"), 10)
        assert receipt.tx_hash == tx_hash


async def test_send__base_fee_far_above_the_offer__bumped_and_mined(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        anvil.call("evm_setAutomine", False)
        first = await sender.send(prompt_call(network), key="cheap")
        for _ in range(8):
            anvil.call("anvil_setNextBlockBaseFeePerGas", hex(gwei(40)))
            anvil.mine()
            await asyncio.sleep(0.1)
        receipt = await asyncio.wait_for(sender.wait("cheap"), 10)
        assert receipt.tx_hash != first
        assert receipt.gas_price_wei >= gwei(40)


async def test_send__fee_above_the_ceiling__never_offered(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    settings = replace(quick_settings(network), fees=FeePolicy(ceiling_wei=gwei(5)))
    async with sending(network, REQUESTER, tmp_path, settings=settings) as sender:
        anvil.call("evm_setAutomine", False)
        await sender.send(prompt_call(network), key="capped")
        for _ in range(6):
            anvil.call("anvil_setNextBlockBaseFeePerGas", hex(gwei(40)))
            anvil.mine()
            await asyncio.sleep(0.05)
        pool = anvil.call("txpool_content")["pending"].get(REQUESTER.address, {})
        offers = {int(tx["maxFeePerGas"], 16) for tx in pool.values()}
        assert all(offer <= gwei(5) for offer in offers)
        for _ in range(4):
            anvil.call("anvil_setNextBlockBaseFeePerGas", hex(gwei(1)))
            anvil.mine()
            await asyncio.sleep(0.1)
        await asyncio.wait_for(sender.wait("capped"), 10)


async def test_send__mempool_queue_that_no_block_moves__replaced_after_seconds(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    """Under automine anvil can leave acknowledged transactions queued until one is replaced."""
    settings = replace(quick_settings(network), patience=Patience(bump_s=0.3))
    async with sending(network, REQUESTER, tmp_path, settings=settings) as sender:
        anvil.call("evm_setAutomine", False)
        first = await sender.send(prompt_call(network), key="stuck")
        await asyncio.sleep(0.8)
        anvil.mine()
        receipt = await asyncio.wait_for(sender.wait("stuck"), 10)
        assert receipt.tx_hash != first


async def test_send__deadline_passes_unmined__cancelled_without_effect(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        now_s = await network.jobs.chain_time_s()
        anvil.call("evm_setAutomine", False)
        tx_hash = await sender.send(prompt_call(network), key="late", deadline_s=now_s + 5)
        anvil.call("anvil_dropTransaction", tx_hash)
        anvil.call("evm_increaseTime", 60)
        anvil.mine()
        await asyncio.sleep(0.5)
        anvil.mine()
        with pytest.raises(TransactionFailed, match="deadline"):
            await asyncio.wait_for(sender.wait("late"), 10)
        assert await network.coordinator.job_count() == 0


async def test_send__foreign_transaction_took_the_nonce__sent_under_the_next(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        anvil.call("evm_setAutomine", False)
        tx_hash = await sender.send(prompt_call(network), key="robbed")
        anvil.call("anvil_dropTransaction", tx_hash)
        await foreign_transaction(network, anvil)
        anvil.call("evm_setAutomine", True)
        for _ in range(7):
            anvil.mine()
            await asyncio.sleep(0.1)
        receipt = await asyncio.wait_for(sender.wait("robbed"), 10)
        assert receipt.tx_hash != tx_hash
        assert await network.coordinator.job_count() == 1


async def foreign_transaction(network: Network, anvil: Anvil) -> None:
    """A wallet elsewhere uses the same key for a transfer of nothing, and it is mined."""
    nonce = int(anvil.call("eth_getTransactionCount", REQUESTER.address, "latest"), 16)
    anvil.call("eth_sendRawTransaction", transfer_of_nothing(network, nonce))
    anvil.mine()


def transfer_of_nothing(network: Network, nonce: int) -> str:
    fields = {
        "type": 2,
        "chainId": network.identity.chain_id,
        "nonce": nonce,
        "to": REQUESTER.address,
        "value": 0,
        "gas": 21_000,
        "maxFeePerGas": gwei(100),
        "maxPriorityFeePerGas": gwei(30),
    }
    return "0x" + REQUESTER.sign_transaction(fields).raw_transaction.hex()


async def test_send__foreign_transaction_below_ours_vanishes__gap_is_filled(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        anvil.call("evm_setAutomine", False)
        nonce = int(anvil.call("eth_getTransactionCount", REQUESTER.address, "latest"), 16)
        foreign = anvil.call("eth_sendRawTransaction", transfer_of_nothing(network, nonce))
        await sender.send(prompt_call(network), key="above the gap")
        anvil.call("anvil_dropTransaction", foreign)
        for _ in range(8):
            anvil.mine()
            await asyncio.sleep(0.1)
        await asyncio.wait_for(sender.wait("above the gap"), 10)
        assert await network.coordinator.job_count() == 1


async def test_wait__block_with_the_transaction_abandoned__same_bytes_mined_again(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        await submit(network, sender, "moves")
        before = await sender.wait("moves")
        anvil.call("anvil_reorg", 2, [])
        assert anvil.call("eth_getTransactionReceipt", before.tx_hash) is None
        await wait_until(
            lambda: anvil.call("eth_getTransactionReceipt", before.tx_hash) is not None,
            what="the transaction in another block",
        )
        anvil.mine()
        await asyncio.sleep(0.3)
        after = await sender.wait("moves")
        assert after.block_hash != before.block_hash
        assert after.tx_hash == before.tx_hash


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


async def test_send__rolled_back_without_new_blocks__mined_again(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        await submit(network, sender, "silent")
        tx_hash = (await sender.wait("silent")).tx_hash
        anvil.call("anvil_rollback", 1)
        assert anvil.call("eth_getTransactionReceipt", tx_hash) is None
        await wait_until(
            lambda: anvil.call("eth_getTransactionReceipt", tx_hash) is not None,
            what="the transaction on the shorter chain",
        )
        assert await network.coordinator.job_count() == 1


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
