"""Nonces: of signed requests, spent once; of logins, issued and taken once."""

from sqlalchemy import Connection, delete, insert, select

from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.services.stores import IssuedNonce
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.tables import login_nonce, request_nonce
from dvllm_gateway.state.upsert import insert_if_absent


class SqlRequestNonceStore:
    """The RequestNonceStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spend(self, address: Address, nonce: str, *, now_ms: int, until_ms: int) -> bool:
        def work(tx: Connection) -> bool:
            tx.execute(delete(request_nonce).where(request_nonce.c.until_ms < now_ms))
            return insert_if_absent(
                tx, request_nonce, address=address, nonce=nonce, until_ms=until_ms
            )

        return await self._database.write(work)

    async def give_back(self, address: Address, nonce: str) -> None:
        """See PaymentNonces of the market."""
        is_it = (request_nonce.c.address == address) & (request_nonce.c.nonce == nonce)
        await self._database.write(
            lambda tx: tx.execute(delete(request_nonce).where(is_it)).rowcount
        )


class SqlLoginNonceStore:
    """The LoginNonceStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, issued: IssuedNonce, *, now_ms: int) -> None:
        def work(tx: Connection) -> None:
            tx.execute(delete(login_nonce).where(login_nonce.c.expires_at_ms < now_ms))
            tx.execute(
                insert(login_nonce).values(
                    nonce=issued.nonce,
                    address=issued.address,
                    expires_at_ms=issued.expires_at_ms,
                )
            )

        await self._database.write(work)

    async def take(self, nonce: str) -> IssuedNonce | None:
        return await self._database.write(lambda tx: _take(tx, nonce))


def _take(tx: Connection, nonce: str) -> IssuedNonce | None:
    is_it = login_nonce.c.nonce == nonce
    row = tx.execute(select(login_nonce).where(is_it).with_for_update()).one_or_none()
    if row is None:
        return None
    tx.execute(delete(login_nonce).where(is_it))
    return IssuedNonce(row.nonce, Address(row.address), row.expires_at_ms)
