"""A value that changes, and whoever waits for the next one."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Several may wait; none misses the newest value, any may miss those in between."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._changed = asyncio.Event()

    @property
    def value(self) -> T:
        return self._value

    def set(self, value: T) -> None:
        if value == self._value:
            return
        self._value = value
        self.wake()

    def wake(self) -> None:
        """Lets those who wait look again: something else changed that they look at."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, seen: T) -> T:
        """The value, once it is another one than the very object `seen`."""
        while self._value is seen:
            await self._changed.wait()
        return self._value

    async def until(self, holds: Callable[[T], bool]) -> T:
        while not holds(self._value):
            await self._changed.wait()
        return self._value
