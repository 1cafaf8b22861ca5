"""The gateway's database as the library asks for one, with the library's errors."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from decentralized_vllm.chain.store.database import storage_error
from decentralized_vllm.protocol.errors import StorageBusy
from dvllm_gateway.errors import InternalError, NetworkUnavailable
from dvllm_gateway.state.database import Database

T = TypeVar("T")


class LibraryTransactions:
    """The port Transactions. Raises StorageBusy, StorageFull, SettingError, and what `work` raises.

    What the key sends and what it is for are in one database: they are durable together.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self._database.write(work)
        except NetworkUnavailable as error:
            raise StorageBusy(error.message) from error
        except InternalError as error:
            if isinstance(error.__cause__, DBAPIError):
                raise storage_error(error.__cause__) from error
            raise
