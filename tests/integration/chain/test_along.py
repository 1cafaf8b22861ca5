"""What is stored along with a transaction: both are durable, or neither is."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.chain.store.tables import outbox_transaction
from decentralized_vllm.protocol.errors import DvllmError
from tests.support.local_network import REQUESTER, prompt_call, sending

notes = Table("notes", MetaData(), Column("number", Integer, primary_key=True))


class NoteRefused(Exception):
    pass


def note(number: int) -> Callable[[Connection], None]:
    def write(tx: Connection) -> None:
        notes.metadata.create_all(tx)
        tx.execute(insert(notes).values(number=number))

    return write


def refused(number: int) -> Callable[[Connection], None]:
    def write(tx: Connection) -> None:
        note(number)(tx)
        raise NoteRefused

    return write


async def store(
    network: Network, sender: OutboxSender, key: str, along: Callable[[Connection], None]
) -> str:
    call = prompt_call(network)
    sending_ = await sender.store_new(
        call, key=key, simulation=await sender.simulate(call), along=along
    )
    return (await sending_.offered).key


async def stored(folder: Path, prefix: str) -> tuple[list[int], list[tuple[str, int]]]:
    """The notes, and of the outbox such keys with their nonces."""
    async with Database(folder / f"{REQUESTER.address}.sqlite") as database:
        numbers = await database.transaction(
            lambda tx: tx.execute(select(notes.c.number).order_by(notes.c.number)).scalars().all()
        )
        query = select(outbox_transaction.c.key, outbox_transaction.c.nonce)
        query = query.where(outbox_transaction.c.key.startswith(prefix))
        rows = await database.transaction(
            lambda tx: tx.execute(query.order_by(outbox_transaction.c.nonce)).all()
        )
    return list(numbers), [(row.key, row.nonce) for row in rows]


async def test_store_new__along_goes_well__both_are_durable_and_it_is_mined(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        assert await store(network, sender, "job one", note(1)) == "job one"
        await sender.wait("job one")
        assert await network.coordinator.job_count() == 1
    numbers, sent = await stored(tmp_path, "job")
    assert (numbers, [key for key, _ in sent]) == ([1], ["job one"])


async def test_store_new__along_fails__neither_is_stored_and_no_nonce_is_used(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        with pytest.raises(NoteRefused):
            await store(network, sender, "job refused", refused(1))
        assert not await sender.knows("job refused")
        await store(network, sender, "job next", note(2))
        await sender.wait("job next")
    numbers, sent = await stored(tmp_path, "job")
    assert (numbers, [key for key, _ in sent]) == ([2], ["job next"])


async def test_store_new__some_of_many_fail__the_others_are_mined_without_a_gap(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        alongs = [refused(n) if n % 3 == 1 else note(n) for n in range(12)]
        results = await asyncio.gather(
            *(store(network, sender, f"job {n}", along) for n, along in enumerate(alongs)),
            return_exceptions=True,
        )
        keys = [key for key in results if isinstance(key, str)]
        await asyncio.gather(*(sender.wait(key) for key in keys))
        assert await network.coordinator.job_count() == len(keys) == 8
    assert [n for n, each in enumerate(results) if isinstance(each, NoteRefused)] == [1, 4, 7, 10]
    numbers, sent = await stored(tmp_path, "job")
    nonces = [nonce for _, nonce in sent]
    assert numbers == [n for n in range(12) if n % 3 != 1]
    assert sorted(key for key, _ in sent) == sorted(keys)
    assert nonces == list(range(nonces[0], nonces[0] + 8))


async def test_store_new__database_refuses_one_of_many__told_to_that_one_alone(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        results = await asyncio.gather(
            *(store(network, sender, f"job {n}", note(max(n, 1))) for n in range(4)),
            return_exceptions=True,
        )
        refused_ones = [each for each in results if isinstance(each, DvllmError)]
        await asyncio.gather(*(sender.wait(key) for key in results if isinstance(key, str)))
        assert await network.coordinator.job_count() == 3
    assert len(refused_ones) == 1 and "can not be used" in str(refused_ones[0])
    numbers, sent = await stored(tmp_path, "job")
    assert (numbers, len(sent)) == ([1, 2, 3], 3)
