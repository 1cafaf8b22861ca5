"""Waits for what must not be left half-way, also when the waiter is cancelled."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(result: asyncio.Future[T]) -> T:
    """Its result or error. A cancellation is passed on when the result is there."""
    try:
        await asyncio.wait([result])
    except asyncio.CancelledError:
        await asyncio.wait([result])
        _note_error(result)
        raise
    return result.result()


def _note_error(result: asyncio.Future[T]) -> None:
    """Takes the error off a future that nobody else will ask."""
    if not result.cancelled():
        result.exception()
