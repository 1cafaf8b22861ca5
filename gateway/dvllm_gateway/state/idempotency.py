"""Keys of requests that must not be done twice, and the replies they had."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, select, update

from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.ports import StoredReply
from dvllm_gateway.services.stores import Claim, KeyOf
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.tables import idempotency as claims
from dvllm_gateway.state.upsert import insert_if_absent

# In times for which a key is held: nobody holds one for longer, so the clock was put back since.
# Should a machine with another clock hold it all the same, tasks of a key are still made once.
TOO_LONG = 10

_HEADERS = TypeAdapter(dict[str, str])
_HAS_NO_REPLY = claims.c.status.is_(None)
_HOLD = (
    update(claims)
    .where(
        claims.c.account == bindparam("its_account"),
        claims.c.key == bindparam("its_key"),
        _HAS_NO_REPLY,
    )
    .values(held_until_ms=bindparam("until"))
)


class SqlIdempotencyStore:
    """The IdempotencyStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self,
        key: KeyOf,
        digest: bytes,
        first_task: TaskId,
        *,
        now_ms: int,
        held_until_ms: int,
        until_ms: int,
    ) -> Claim:
        def work(tx: Connection) -> Claim:
            tx.execute(delete(claims).where(claims.c.until_ms < now_ms))
            hold = {"held_until_ms": held_until_ms}
            facts = {"digest": digest, "first_task": first_task, "until_ms": until_ms, **hold}
            while not insert_if_absent(tx, claims, **key._asdict(), **facts):
                row = tx.execute(_locked(key)).one_or_none()
                if row is not None:  # or else it was released in this very moment
                    return _taken_over(tx, key, row, digest, now_ms, hold)
            return Claim(digest, None, first_task, is_mine=True, is_new=True)

        return await self._database.write(work)

    async def hold(self, keys: Sequence[KeyOf], *, until_ms: int) -> None:
        rows = [{"its_account": k.account, "its_key": k.key, "until": until_ms} for k in keys]
        await self._database.write(lambda tx: tx.execute(_HOLD, rows).rowcount)

    async def settle(self, key: KeyOf, reply: StoredReply) -> None:
        headers = _HEADERS.dump_json(dict(reply.headers)).decode()
        statement = (
            update(claims)
            .where(_is(key))
            .values(status=reply.status, body=reply.body, headers=headers)
        )
        await self._database.write(lambda tx: tx.execute(statement).rowcount)

    async def release(self, key: KeyOf) -> None:
        statement = delete(claims).where(_is(key), _HAS_NO_REPLY)
        await self._database.write(lambda tx: tx.execute(statement).rowcount)


def _is(key: KeyOf) -> ColumnElement[bool]:
    return (claims.c.account == key.account) & (claims.c.key == key.key)


def _locked(key: KeyOf) -> Select[Any]:
    return select(claims).where(_is(key)).with_for_update()


def _taken_over(
    tx: Connection, key: KeyOf, row: Row[Any], digest: bytes, now_ms: int, hold: Mapping[str, int]
) -> Claim:
    is_held = now_ms <= row.held_until_ms <= now_ms + TOO_LONG * (hold["held_until_ms"] - now_ms)
    is_mine = row.status is None and not is_held and row.digest == digest
    if is_mine:
        tx.execute(update(claims).where(_is(key)).values(**hold))
    return _claim(row, is_mine=is_mine)


def _claim(row: Row[Any], *, is_mine: bool) -> Claim:
    first_task = None if row.first_task is None else TaskId(row.first_task)
    reply = None
    if row.status is not None:
        reply = StoredReply(row.status, row.body, _HEADERS.validate_json(row.headers))
    return Claim(row.digest, reply, first_task, is_mine=is_mine, is_new=False)
