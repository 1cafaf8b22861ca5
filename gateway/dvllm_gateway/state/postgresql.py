"""PostgreSQL as the gateway's database, perhaps shared by several gateways."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.state.failures import as_gateway_error, has_lost_a_race
from dvllm_gateway.state.gathered import GatheredWrites
from dvllm_gateway.state.patience import to_the_end

N_CONNECTIONS = 10
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 15_000
SILENCE_S = 5  # after which the server's machine is asked whether it is there
PROBE_EVERY_S = 2
MAX_ATTEMPTS = 5

T = TypeVar("T")
Item = TypeVar("Item")


class PostgresqlDatabase:
    """See `database.Database`. Transactions run beside each other; the server groups commits."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Else each statement of a read sees what was committed until then.
        self._reading = engine.execution_options(isolation_level="REPEATABLE READ")
        self._gathered = GatheredWrites(self.write)

    async def write(self, work: Callable[[Connection], T], *, is_hurried: bool = True) -> T:
        """Nobody waits for another's turn here."""
        return await to_the_end(asyncio.create_task(self._repeated(self._engine, work)))

    async def write_shared(
        self, work: Callable[[Connection, Sequence[Item]], Sequence[T]], item: Item
    ) -> T:
        """With those that came while the last ones were written. They lock their rows in order."""
        return await self._gathered.write(work, item)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._repeated(self._reading, work)

    async def _repeated(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        """Again after a lost race with another transaction, in which nothing was written."""
        attempt = 1
        while True:
            try:
                async with engine.begin() as connection:
                    return await connection.run_sync(work)
            except DBAPIError as error:
                if not has_lost_a_race(error) or attempt >= MAX_ATTEMPTS:
                    raise as_gateway_error(error) from error
            except PoolTimeout as error:
                raise NetworkUnavailable("the gateway's database is too busy") from error
            attempt += 1


@asynccontextmanager
async def open_postgresql(url: URL) -> AsyncIterator[PostgresqlDatabase]:
    """Raises SettingError where the server does not let us in."""
    engine = create_async_engine(
        url,
        pool_size=N_CONNECTIONS,
        max_overflow=0,
        pool_pre_ping=True,  # the server may have been restarted since
        connect_args=connect_arguments(),
    )
    try:
        await _check(engine)
        yield PostgresqlDatabase(engine)
    finally:
        await engine.dispose()


async def _check(engine: AsyncEngine) -> None:
    try:
        async with engine.connect():
            pass
    except DBAPIError as error:
        raise SettingError("database", f"can not be used: {error.orig}") from error


def connect_arguments() -> dict[str, str | int]:
    """A statement that hangs, or a gateway that died in a transaction, blocks others not long.

    Nor does a server that is gone without a word: the system would wait for it for hours.
    """
    options = (
        f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
        f"-c idle_in_transaction_session_timeout={STATEMENT_TIMEOUT_MS}",
    )
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "options": " ".join(options),
        "keepalives_idle": SILENCE_S,
        "keepalives_interval": PROBE_EVERY_S,
        "keepalives_count": (STATEMENT_TIMEOUT_MS // 1000 - SILENCE_S) // PROBE_EVERY_S,
        "tcp_user_timeout": STATEMENT_TIMEOUT_MS,
    }
