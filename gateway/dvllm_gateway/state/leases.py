"""Leases: one holder of a name at a time, by the database's clock."""

import time

from sqlalchemy import Connection, delete, func, or_, select, update

from dvllm_gateway.state.database import Database
from dvllm_gateway.state.tables import lease
from dvllm_gateway.state.upsert import insert_if_absent


class SqlLeaseStore:
    """The LeaseStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def acquire(self, name: str, holder: str, *, for_s: float) -> bool:
        return await self._database.write(lambda tx: _acquire(tx, name, holder, for_s))

    async def release(self, name: str, holder: str) -> None:
        statement = delete(lease).where(lease.c.name == name, lease.c.holder == holder)
        await self._database.write(lambda tx: tx.execute(statement).rowcount)


def _acquire(tx: Connection, name: str, holder: str, for_s: float) -> bool:
    now_s = _now_s(tx)
    values = {"holder": holder, "until_s": now_s + for_s}
    if insert_if_absent(tx, lease, name=name, **values):
        return True
    is_free = or_(lease.c.holder == holder, lease.c.until_s < now_s)
    result = tx.execute(update(lease).where(lease.c.name == name, is_free).values(**values))
    return result.rowcount == 1


def _now_s(tx: Connection) -> float:
    """Who shares a PostgreSQL may have other clocks; who shares an SQLite file has the same."""
    if tx.dialect.name == "postgresql":
        return float(tx.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())
    return time.time()
