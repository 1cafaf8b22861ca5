"""Tokens that arrive on chain become credit once, whatever happens to chain and gateway."""

import asyncio
from dataclasses import replace

import pytest

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.protocol.ids import Address, TxHash, Wei
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.services.stores import Movement
from dvllm_gateway.state import Database
from tests.support.anvil import Anvil
from tests.support.deposit_desk import (
    GATEWAY_ADDRESS,
    OTHER_ADDRESS,
    QUICK,
    USER,
    DepositDesk,
    deposit_desk,
)


async def send_tokens(
    network: Network,
    user: OutboxSender,
    amount: int,
    key: str,
    to: Address = GATEWAY_ADDRESS,
) -> TxHash:
    await user.send(network.token.transfer(to, Wei(amount)), key=key)
    return (await user.wait(key)).tx_hash


def reorganise(anvil: Anvil) -> None:
    """Replaces the last block by an empty one; nothing is mined again by itself."""
    anvil.call("evm_setAutomine", False)
    anvil.call("anvil_reorg", 1, [])


async def test_deposit__transfer_mined__is_credit_of_its_sender(
    network: Network, user: OutboxSender, desk: DepositDesk
) -> None:
    tx_hash = await send_tokens(network, user, tokens(5), "one")
    async with asyncio.timeout(20):
        await desk.watch.credited(tx_hash)
    assert await desk.available_wei() == tokens(5)
    (line,) = await desk.ledger()
    assert (line.movement, line.available_wei, line.reason) == (
        Movement.DEPOSIT,
        tokens(5),
        tx_hash,
    )


async def test_deposit__gateway_restarts__is_credited_once_and_none_is_missed(
    network: Network, database: Database, user: OutboxSender
) -> None:
    async with deposit_desk(network, database) as desk:
        await send_tokens(network, user, tokens(5), "before")
        await desk.until_available(tokens(5))
    await send_tokens(network, user, tokens(2), "between")
    async with deposit_desk(network, database) as desk:
        await send_tokens(network, user, tokens(1), "after")
        await desk.until_available(tokens(8))
        assert [line.available_wei for line in await desk.ledger()] == [
            tokens(5),
            tokens(2),
            tokens(1),
        ]


async def test_deposit__too_few_confirmations__waits_for_them(
    network: Network, anvil: Anvil, database: Database, user: OutboxSender
) -> None:
    async with deposit_desk(network, database, replace(QUICK, confirmations=3)) as desk:
        tx_hash = await send_tokens(network, user, tokens(5), "one")
        anvil.mine(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await desk.watch.credited(tx_hash)
        anvil.mine(1)
        await desk.until_available(tokens(5))


async def test_deposit__reorganised_away__is_taken_back(
    network: Network, anvil: Anvil, user: OutboxSender, desk: DepositDesk
) -> None:
    await send_tokens(network, user, tokens(5), "goes")
    await desk.until_available(tokens(5))
    reorganise(anvil)
    await desk.until_available(0)
    assert [line.movement for line in await desk.ledger()] == [
        Movement.DEPOSIT,
        Movement.REVERSAL,
    ]


async def test_deposit__reorganised_away_after_it_was_spent__leaves_a_debt(
    network: Network, anvil: Anvil, user: OutboxSender, desk: DepositDesk
) -> None:
    await send_tokens(network, user, tokens(5), "goes")
    await desk.until_available(tokens(5))
    account = (await desk.ledger())[0].account
    await desk.accounts.grant(account, Wei(-tokens(3)), reason="spent", at_ms=1)
    reorganise(anvil)
    await desk.until_available(-tokens(3))


async def test_deposit__mined_again_in_another_block__counts_once(
    network: Network, anvil: Anvil, user: OutboxSender, desk: DepositDesk
) -> None:
    tx_hash = await send_tokens(network, user, tokens(5), "moves")
    await desk.until_available(tokens(5))
    raw = anvil.call("eth_getRawTransactionByHash", tx_hash)
    anvil.mine(2)
    anvil.call("anvil_reorg", 3, [[raw, 2]])
    async with asyncio.timeout(20):
        while len(await desk.ledger()) < 3:  # noqa: ASYNC110 - of a database
            await asyncio.sleep(0.02)
    assert await desk.available_wei() == tokens(5)
    assert [line.movement for line in await desk.ledger()] == [
        Movement.DEPOSIT,
        Movement.REVERSAL,
        Movement.DEPOSIT,
    ]


async def test_deposit__credited_anew_before_the_other_gateway_rewinds__stays(
    network: Network, anvil: Anvil, database: Database, user: OutboxSender, desk: DepositDesk
) -> None:
    """Two gateways of one database, with a key each: one takes back only what it was paid."""
    async with deposit_desk(network, database, address=OTHER_ADDRESS):
        ours = await send_tokens(network, user, tokens(5), "ours")
        theirs = await send_tokens(network, user, tokens(2), "theirs", to=OTHER_ADDRESS)
        await desk.until_available(tokens(7))
    raw = [anvil.call("eth_getRawTransactionByHash", tx_hash) for tx_hash in (ours, theirs)]
    anvil.mine(1)
    anvil.call("anvil_reorg", 3, [[each, 1] for each in raw])
    await until_credited_twice(desk, ours)
    async with deposit_desk(network, database, address=OTHER_ADDRESS):
        await until_credited_twice(desk, theirs)
    assert await desk.available_wei() == tokens(7)


async def until_credited_twice(desk: DepositDesk, tx_hash: TxHash) -> None:
    async with asyncio.timeout(20):
        while [  # noqa: ASYNC110 - of a database
            line.reason for line in await desk.ledger() if line.movement is Movement.DEPOSIT
        ].count(tx_hash) < 2:
            await asyncio.sleep(0.02)


async def test_deposit__nothing_minted_or_withdrawn__is_no_deposit(
    network: Network, user: OutboxSender, desk: DepositDesk
) -> None:
    for key, call in (
        ("minted", network.token.faucet(GATEWAY_ADDRESS, tokens(9))),
        ("nothing", network.token.transfer(GATEWAY_ADDRESS, Wei(0))),
        ("elsewhere", network.token.transfer(Address(USER.address), tokens(1))),
    ):
        await user.send(call, key=key)
        await user.wait(key)
    await send_tokens(network, user, tokens(1), "last")
    await desk.until_available(tokens(1))
    page = await desk.accounts.list(limit=10, offset=0)
    assert page.total == 1


async def test_deposit__two_in_one_block__both_count(
    network: Network, anvil: Anvil, user: OutboxSender, desk: DepositDesk
) -> None:
    anvil.call("evm_setAutomine", False)
    for key in ("first", "second"):
        await user.send(network.token.transfer(GATEWAY_ADDRESS, tokens(2)), key=key)
    anvil.mine()
    await desk.until_available(tokens(4))
