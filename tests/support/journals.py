"""A node's journal on a database of the test's own."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.errors import StorageFull
from dvllm_worker.journal.sql_journal import SqlJournal
from tests.support.jobs import CHAIN_ID, COORDINATOR


async def open_journal(database: Database) -> SqlJournal:
    return await SqlJournal(database, chain_id=CHAIN_ID, coordinator=COORDINATOR).load()


class CountingDatabase:
    """A database that counts its commits, and fails when told."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.n_commits = 0
        self.fails = False

    async def transaction(self, work: Callable[[Connection], Any]) -> Any:
        self.n_commits += 1
        if self.fails:
            raise StorageFull("no space left")
        return await self._database.transaction(work)


async def counted_journal(database: Database) -> tuple[CountingDatabase, SqlJournal]:
    """An empty journal, and what it is kept in."""
    await open_journal(database)
    counting = CountingDatabase(database)
    journal = SqlJournal(counting, chain_id=CHAIN_ID, coordinator=COORDINATOR)  # type: ignore[arg-type]
    return counting, journal
