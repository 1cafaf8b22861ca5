"""Keys of requests that must not be done twice, and the replies they had."""

from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, delete, select, update

from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.ports import StoredReply
from dvllm_gateway.services.stores import Claim
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.tables import idempotency as claims
from dvllm_gateway.state.upsert import insert_if_absent

_HEADERS = TypeAdapter(dict[str, str])


class SqlIdempotencyStore:
    """The IdempotencyStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, account: AccountId, key: str, digest: bytes, *, now_ms: int, until_ms: int
    ) -> Claim | None:
        def work(tx: Connection) -> Claim | None:
            tx.execute(delete(claims).where(claims.c.until_ms < now_ms))
            names = {"account": account, "key": key}
            if insert_if_absent(tx, claims, **names, digest=digest, until_ms=until_ms):
                return None
            return _claim(tx.execute(select(claims).where(_is(account, key))).one())

        return await self._database.write(work)

    async def settle(self, account: AccountId, key: str, reply: StoredReply) -> None:
        headers = _HEADERS.dump_json(dict(reply.headers)).decode()
        statement = (
            update(claims)
            .where(_is(account, key))
            .values(status=reply.status, body=reply.body, headers=headers)
        )
        await self._database.write(lambda tx: tx.execute(statement).rowcount)

    async def release(self, account: AccountId, key: str) -> None:
        statement = delete(claims).where(_is(account, key), claims.c.status.is_(None))
        await self._database.write(lambda tx: tx.execute(statement).rowcount)


def _is(account: AccountId, key: str) -> ColumnElement[bool]:
    return (claims.c.account == account) & (claims.c.key == key)


def _claim(row: Row[Any]) -> Claim:
    if row.status is None:
        return Claim(row.digest, None)
    headers = _HEADERS.validate_json(row.headers)
    return Claim(row.digest, StoredReply(row.status, row.body, headers))
