"""Rows of a feed: the blocks it was applied up to, and the logs applied near its end."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Delete, delete, insert, select

from decentralized_vllm.chain.store.tables import feed_block, feed_log
from decentralized_vllm.protocol.events import Cursor, LogPosition
from decentralized_vllm.protocol.ids import BlockNumber, TxHash

HISTORY_BLOCKS = 512  # how many applied blocks are kept to find a common ancestor among


@dataclass(frozen=True, slots=True)
class FeedRows:
    """`history` is in order of number; its last entry is the cursor."""

    history: tuple[Cursor, ...]
    applied: tuple[LogPosition, ...]


@dataclass(frozen=True, slots=True)
class FeedTable:
    """The rows of one feed on one chain. Every method runs inside a transaction."""

    chain: str
    feed: str

    def load(self, tx: Connection) -> FeedRows:
        blocks = tx.execute(
            select(feed_block.c.number, feed_block.c.hash)
            .where(feed_block.c.chain == self.chain, feed_block.c.feed == self.feed)
            .order_by(feed_block.c.number)
        )
        logs = tx.execute(
            select(
                feed_log.c.block_number,
                feed_log.c.block_hash,
                feed_log.c.tx_hash,
                feed_log.c.log_index,
            ).where(feed_log.c.chain == self.chain, feed_log.c.feed == self.feed)
        )
        return FeedRows(
            history=tuple(Cursor(BlockNumber(row.number), row.hash) for row in blocks),
            applied=tuple(
                LogPosition(
                    BlockNumber(row.block_number),
                    row.block_hash,
                    TxHash(row.tx_hash),
                    row.log_index,
                )
                for row in logs
            ),
        )

    def forget_after(self, tx: Connection, number: int) -> None:
        """Rows of blocks above `number`: a re-organisation took them away."""
        tx.execute(self._blocks().where(feed_block.c.number > number))
        tx.execute(self._logs().where(feed_log.c.block_number > number))

    def save(
        self,
        tx: Connection,
        cursor: Cursor,
        applied: Sequence[LogPosition],
        *,
        keep_logs_from: int,
    ) -> None:
        tx.execute(self._blocks().where(feed_block.c.number >= cursor.number))
        names = {"chain": self.chain, "feed": self.feed}
        tx.execute(insert(feed_block).values(**names, number=cursor.number, hash=cursor.hash))
        if applied:
            tx.execute(insert(feed_log), [{**names, **_log_row(at)} for at in applied])
        self._prune(tx, keep_logs_from)

    def _prune(self, tx: Connection, keep_logs_from: int) -> None:
        tx.execute(self._logs().where(feed_log.c.block_number < keep_logs_from))
        oldest_kept = (
            select(feed_block.c.number)
            .where(feed_block.c.chain == self.chain, feed_block.c.feed == self.feed)
            .order_by(feed_block.c.number.desc())
            .offset(HISTORY_BLOCKS - 1)
            .limit(1)
        )
        oldest = tx.execute(oldest_kept).scalar_one_or_none()
        if oldest is not None:
            tx.execute(self._blocks().where(feed_block.c.number < oldest))

    def _blocks(self) -> Delete:
        return delete(feed_block).where(
            feed_block.c.chain == self.chain, feed_block.c.feed == self.feed
        )

    def _logs(self) -> Delete:
        return delete(feed_log).where(feed_log.c.chain == self.chain, feed_log.c.feed == self.feed)


def _log_row(at: LogPosition) -> dict[str, str | int]:
    return {
        "block_number": at.block_number,
        "block_hash": at.block_hash,
        "tx_hash": at.tx_hash,
        "log_index": at.log_index,
    }
