"""Opening and closing of a client, and what runs behind its callers' backs meanwhile."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Self

from decentralized_vllm.settings import ClientSettings

if TYPE_CHECKING:
    from decentralized_vllm.requester.session import Session


class OpenAndClose:
    """An async context manager around a Session."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._stack = AsyncExitStack()
        self._session: Session | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connects, and checks that chain, contract and key are what the settings say."""
        if self._session is not None:
            return
        # Here and not above: importing the library is quick, connecting takes its time anyway.
        # In a thread first: a second of importing must not hold up the caller's event loop.
        await asyncio.to_thread(import_module, "decentralized_vllm.requester.session")
        from decentralized_vllm.requester.session import SessionBuilder

        async with AsyncExitStack() as stack:
            session = await SessionBuilder(self.settings, stack).open()
            self._stack = stack.pop_all()
        self._session = session
        self._run_in_background(session.network.hints.run())

    async def close(self) -> None:
        """Ends what runs in the background and closes what was opened. Twice is no error."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._session = None
        await self._stack.aclose()

    def _opened(self) -> "Session":
        if self._session is None:
            raise RuntimeError("the client is not open: use `async with`, or await open()")
        return self._session

    def _run_in_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
