"""Leases: one holder of a name at a time, by the database's clock."""

import time

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, update

from dvllm_gateway.state.database import Database
from dvllm_gateway.state.tables import lease
from dvllm_gateway.state.upsert import insert_if_absent

# In times of a lease: nobody ever holds one for longer, so the clock was put back since.
TOO_LONG = 10


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
    is_free = or_(lease.c.holder == holder, *_is_over(tx, now_s, for_s))
    result = tx.execute(update(lease).where(lease.c.name == name, is_free).values(**values))
    return result.rowcount == 1


def _is_over(tx: Connection, now_s: float, for_s: float) -> list[ColumnElement[bool]]:
    """On one machine also what ends absurdly late: else who was killed before the clock was put
    back would keep all others out until then. Who lives has the key's file locked there."""
    is_over = [lease.c.until_s < now_s]
    if not _has_own_clock(tx):
        is_over.append(lease.c.until_s > now_s + TOO_LONG * for_s)
    return is_over


def _now_s(tx: Connection) -> float:
    """Who shares a PostgreSQL may have other clocks; who shares an SQLite file has the same."""
    if _has_own_clock(tx):
        return float(tx.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())
    return time.time()


def _has_own_clock(tx: Connection) -> bool:
    return tx.dialect.name == "postgresql"
