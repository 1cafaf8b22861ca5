"""API keys: their public parts and the hashes of their secrets."""

from typing import Any

from sqlalchemy import Connection, Row, select, update

from dvllm_gateway.ids import AccountId, KeyId
from dvllm_gateway.services.identity import ApiKey
from dvllm_gateway.services.principals import Scope
from dvllm_gateway.services.stores import StoredKey
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.money import ensure_account
from dvllm_gateway.state.tables import api_key
from dvllm_gateway.state.upsert import insert_if_absent


class SqlApiKeyStore:
    """The ApiKeyStore. A revoked key's row stays, so that its id is never another key's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, stored: StoredKey) -> bool:
        return await self._database.write(lambda tx: _add(tx, stored))

    async def find(self, key_id: KeyId) -> StoredKey | None:
        query = select(api_key).where(api_key.c.id == key_id, ~api_key.c.is_revoked)
        row = await self._database.read(lambda tx: tx.execute(query).one_or_none())
        return None if row is None else StoredKey(_key(row), row.hash)

    async def list(self, account: AccountId) -> tuple[ApiKey, ...]:
        query = (
            select(api_key)
            .where(api_key.c.account == account, ~api_key.c.is_revoked)
            .order_by(api_key.c.created_at_ms, api_key.c.id)
        )
        rows = await self._database.read(lambda tx: tx.execute(query).all())
        return tuple(_key(row) for row in rows)

    async def revoke(self, account: AccountId, key_id: KeyId) -> bool:
        statement = (
            update(api_key)
            .where(api_key.c.id == key_id, api_key.c.account == account, ~api_key.c.is_revoked)
            .values(is_revoked=True)
        )
        return await self._database.write(lambda tx: tx.execute(statement).rowcount == 1)

    async def note_use(self, key_id: KeyId, at_ms: int) -> None:
        statement = update(api_key).where(api_key.c.id == key_id).values(last_used_at_ms=at_ms)
        await self._database.write(lambda tx: tx.execute(statement).rowcount)


def _add(tx: Connection, stored: StoredKey) -> bool:
    key = stored.key
    ensure_account(tx, key.account, key.created_at_ms)
    return insert_if_absent(
        tx,
        api_key,
        id=key.id,
        account=key.account,
        scopes=" ".join(sorted(key.scopes)),
        hash=stored.hash,
        created_at_ms=key.created_at_ms,
        last_used_at_ms=key.last_used_at_ms,
        is_revoked=False,
    )


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=KeyId(row.id),
        account=AccountId(row.account),
        scopes=frozenset(Scope(word) for word in row.scopes.split()),
        created_at_ms=row.created_at_ms,
        last_used_at_ms=row.last_used_at_ms,
    )
