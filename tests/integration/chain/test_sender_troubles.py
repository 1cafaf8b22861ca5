"""The sender where the chain gets in its way: dropped, outbid, late, overtaken, rolled back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from decentralized_vllm.chain.confirmation import Patience
from decentralized_vllm.chain.fees import FeePolicy
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.errors import StorageBusy, TransactionFailed
from decentralized_vllm.protocol.units import gwei
from tests.support.anvil import Anvil
from tests.support.local_network import REQUESTER, prompt_call, quick_settings, sending, submit
from tests.support.waiting import wait_until


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
        waiter = asyncio.create_task(sender.wait("robbed"))
        while not waiter.done():
            anvil.mine()
            await asyncio.sleep(0.1)
        assert waiter.result().tx_hash != tx_hash
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


async def test_send__database_does_not_say_whether_it_kept_it__mined_once_and_no_nonce_twice(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transaction = Database.transaction
    is_silent = False

    async def kept_and_not_said(self: Database, work: Callable[[Connection], Any]) -> Any:
        nonlocal is_silent
        result = await transaction(self, work)
        if is_silent and work.__name__ == "insert":
            is_silent = False
            raise StorageBusy("the connection was lost")
        return result

    monkeypatch.setattr(Database, "transaction", kept_and_not_said)
    async with sending(network, REQUESTER, tmp_path) as sender:
        await submit(network, sender, "first")
        is_silent = True
        with pytest.raises(StorageBusy):
            await sender.send(prompt_call(network), key="unsure")
        await sender.send(prompt_call(network), key="next")
        receipts = [await asyncio.wait_for(sender.wait(key), 30) for key in ("unsure", "next")]
        assert len({receipt.tx_hash for receipt in receipts}) == 2
        assert await network.coordinator.job_count() == 3
