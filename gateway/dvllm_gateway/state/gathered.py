"""Gathers shares of one work while another transaction runs, and does them in the next one.

Each by itself would pay for a whole transaction, and those of one account wait for each other's.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from decentralized_vllm.ending import Ending
from dvllm_gateway.errors import NetworkUnavailable, RetryableGatewayError

MAX_TOGETHER = 32

T = TypeVar("T")
Item = TypeVar("Item")


class Write(Protocol):
    """One transaction."""

    def __call__(self, work: Callable[[Connection], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class _Share:
    work: Callable[[Connection, Sequence[Any]], Sequence[Any]]
    item: Any
    ending: Ending[Any]


class GatheredWrites:
    """One transaction at a time; a lone share waits for nobody.

    Whatever works together locks its rows in one order: gateways beside it do the same.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: deque[_Share] = deque()
        self._running: asyncio.Task[None] | None = None

    async def write(
        self, work: Callable[[Connection, Sequence[Item]], Sequence[T]], item: Item
    ) -> T:
        """What `work` returned for `item`. A cancelled caller waits for it, too."""
        share = _Share(work, item, Ending())
        self._waiting.append(share)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        outcome: T = await share.ending.reached()
        return outcome

    async def _run(self) -> None:
        group: list[_Share] = []
        try:
            while self._waiting:
                group = self._next_group()
                await self._do(group)
        except asyncio.CancelledError:  # nobody is left waiting for what nobody does
            _fail([*group, *self._waiting], NetworkUnavailable("the gateway's database closes"))
            self._waiting.clear()
            raise
        finally:
            self._running = None

    def _next_group(self) -> list[_Share]:
        first = self._waiting[0].work
        alike = takewhile(lambda share: share.work == first, self._waiting)
        group = list(islice(alike, MAX_TOGETHER))
        for _ in group:
            self._waiting.popleft()
        return group

    async def _do(self, group: Sequence[_Share]) -> None:
        work, items = group[0].work, [share.item for share in group]
        try:
            values = await self._write(lambda tx: work(tx, items))
        except RetryableGatewayError as error:
            _fail(group, error)  # one by one they would all wait for the same outage
        except Exception as error:
            await self._do_each(group, error)
        else:
            for share, value in zip(group, values, strict=True):
                share.ending.succeed(value)

    async def _do_each(self, group: Sequence[_Share], error: Exception) -> None:
        """All were undone; whatever is wrong belongs to one of them."""
        if len(group) == 1:
            _fail(group, error)
            return
        for share in group:
            await self._do([share])


def _fail(group: Sequence[_Share], error: Exception) -> None:
    for share in group:
        share.ending.fail(error)
