"""Reads what is mined already, whatever the endpoints say for a while.

Its money is locked: who was told of an outage instead would submit and pay once more.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from decentralized_vllm.protocol.errors import ChainUnavailable, UnknownJob
from decentralized_vllm.protocol.ids import TxHash

PATIENCE_S = 60.0
RETRY_S = 0.5

T = TypeVar("T")


async def read_mined(tx_hash: TxHash, read: Callable[[], Awaitable[T]]) -> T:
    """What `read` returns. An endpoint behind the one that showed the transaction is waited for.

    Raises ChainUnavailable, which tells the transaction.
    """
    given_up_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await read()
        except (ChainUnavailable, UnknownJob) as error:
            if time.monotonic() > given_up_s:
                raise ChainUnavailable(
                    f"the request is mined in {tx_hash}, but can not be read: {error.message}",
                    hint="do not submit it again: look for it among the account's tasks",
                ) from error
        await asyncio.sleep(RETRY_S)
