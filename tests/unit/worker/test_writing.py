"""Prompts and answers of many leases at once, in the node's own store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from decentralized_vllm.content.cid import RAW, ParsedCid, hash_block
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.protocol.errors import ContentUnavailable, StorageFull
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content.own_store import OwnStore
from dvllm_worker.content.writing import TreeWriter

MAX_BYTES = 10_000
ANSWERS = [f"answer {number}".encode() for number in range(20)]


class CountingStore(OwnStore):
    n_flushes = 0

    def _flush(self, written: list[ParsedCid]) -> None:
        self.n_flushes += 1
        super()._flush(written)


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[CountingStore]:
    async with CountingStore(tmp_path, max_bytes=MAX_BYTES, setting="data_dir") as store:
        yield store


def add(writer: TreeWriter, data: bytes) -> asyncio.Future[Cid]:
    """As one block, which is what most prompts and answers are."""
    cid = hash_block(data, version=1, codec=RAW)
    return writer.add_tree(cid.text(), [(cid, data)])


async def kept(own: OwnStore, cid: Cid) -> bytes:
    assert cid in await own.pins()
    return await own.read_bytes(cid, max_bytes=MAX_BYTES)


async def test_add__many_at_once__each_kept_and_all_flushed_together(own: CountingStore) -> None:
    writer = TreeWriter(own)
    cids = await asyncio.gather(*(add(writer, answer) for answer in ANSWERS))
    assert [await kept(own, cid) for cid in cids] == ANSWERS
    assert own.n_flushes == 1


async def test_add__prompt_beside_its_answer__both_pinned_in_one_flush(own: CountingStore) -> None:
    writer = TreeWriter(own)
    prompt, answer = add(writer, b"prompt"), add(writer, b"answer")
    assert await kept(own, await prompt) == b"prompt"
    assert await kept(own, await answer) == b"answer"
    assert own.n_flushes == 1


async def test_add__one_too_long_for_the_space_left__fails_alone(own: CountingStore) -> None:
    writer = TreeWriter(own)
    short, long = add(writer, b"short"), add(writer, b"x" * (MAX_BYTES + 1))
    assert await kept(own, await short) == b"short"
    with pytest.raises(StorageFull):
        await long


async def test_add__pin_table_is_closed__told_to_the_caller(own: CountingStore) -> None:
    writer = TreeWriter(own)
    own.close()
    with pytest.raises(RuntimeError, match="not open"):
        await add(writer, b"answer")


async def test_add__caller_leaves__the_others_are_kept(own: CountingStore) -> None:
    writer = TreeWriter(own)
    left, other = add(writer, b"left"), add(writer, b"other")
    left.cancel()
    assert await kept(own, await other) == b"other"


async def test_close__while_something_waits__ends_it(own: CountingStore) -> None:
    writer = TreeWriter(own)
    waiting = add(writer, b"waiting")
    await writer.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_read__some_are_here_and_some_not__each_told_apart(own: CountingStore) -> None:
    writer = TreeWriter(own)
    cids = await asyncio.gather(*(add(writer, answer) for answer in ANSWERS))
    missing = await MemoryStore().add_bytes(b"missing")
    reads = [own.read_bytes(cid, max_bytes=MAX_BYTES) for cid in (*cids, missing)]
    *found, error = await asyncio.gather(*reads, return_exceptions=True)
    assert found == ANSWERS
    assert isinstance(error, ContentUnavailable)
