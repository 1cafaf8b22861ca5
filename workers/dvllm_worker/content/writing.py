"""Puts prompts and answers into the node's own store: those that come together, in one go."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from decentralized_vllm.content.dag_builder import BlockSink
from decentralized_vllm.content.store import Import, PinningStore
from decentralized_vllm.grouping import Grouped
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content.recording import Block

Write = Callable[[BlockSink], Cid]


class TreeWriter:
    """What it has written is durable and pinned.

    One thread at a time: threads that wait for each other cost more than the writing itself when
    a block brings many leases.
    """

    def __init__(self, own: PinningStore) -> None:
        self._own = own
        self._writes: Grouped[Write, Cid] = Grouped(self._write_together)

    def add_tree(self, root: Cid, blocks: Sequence[Block]) -> asyncio.Future[Cid]:
        """Of verified blocks, as far as the store lacks them. Raises StorageFull."""
        return self._writes.add(partial(_sink_blocks, root, blocks))

    async def close(self) -> None:
        await self._writes.close()

    async def _write_together(self, writes: Sequence[Write]) -> Sequence[Cid | Exception]:
        async with self._own.importing() as run:
            outcomes = await asyncio.to_thread(_written, run, writes)
            return await asyncio.gather(*(_pinned(run, outcome) for outcome in outcomes))


def _written(run: Import, writes: Sequence[Write]) -> Sequence[Cid | Exception]:
    outcomes = [_outcome(run, write) for write in writes]
    run.flush_now()
    return outcomes


def _outcome(run: Import, write: Write) -> Cid | Exception:
    """What fails for one, such as an answer too long for the space left, fails for it alone."""
    try:
        return write(run.sink)
    except DvllmError as error:
        return error


async def _pinned(run: Import, outcome: Cid | Exception) -> Cid | Exception:
    """All pins of a group end before the collector may come."""
    if isinstance(outcome, Exception):
        return outcome
    try:
        await run.pin(outcome)
    except DvllmError as error:
        return error
    return outcome


def _sink_blocks(root: Cid, blocks: Sequence[Block], sink: BlockSink) -> Cid:
    for cid, block in blocks:
        sink(cid, block)
    return root
