"""Sends with a client's key, and holds the key's lock only while something is under way.

A client waits for answers much longer than it sends. Two of them may share a key, such as two
shells that run `dvllm submit --wait`: each gets its turn.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.errors import ChainUnavailable, KeyInUse
from decentralized_vllm.protocol.ids import TxHash
from decentralized_vllm.protocol.ports import TransactionSender
from decentralized_vllm.protocol.transactions import Call, Receipt

TURN_PATIENCE_S = 30.0
TURN_RETRY_S = 0.2
FORMER_PATIENCE_S = 60.0


class SendsInTurn(TransactionSender, Protocol):
    def turn(self) -> AbstractAsyncContextManager[None]: ...


class SendsAndKnows(SendsInTurn, Protocol):
    async def knows(self, key: str) -> bool: ...


class KeySender:
    """The TransactionSender port. Every accepted `send` must be followed by a `wait`.

    Raises KeyInUse when another process keeps the key for longer than half a minute.
    """

    def __init__(self, network: Network, account: LocalAccount, data_path: Path) -> None:
        self._network = network
        self._account = account
        self._data_path = data_path
        self._opening = asyncio.Lock()
        self._under_way: set[str] = set()
        self._turns = itertools.count()
        self._sender: OutboxSender | None = None
        self._running: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()
        self._closings: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """No other process sends with this key meanwhile: for what is read and then acted on.

        Raises ChainUnavailable while the chain does not take what a former client left.
        """
        hold = f"turn:{next(self._turns)}"
        self._under_way.add(hold)
        try:
            await _former_mined(await self._opened())
            yield
        finally:
            await self._done(hold)

    async def send(self, call: Call, *, key: str, deadline_s: float | None = None) -> TxHash:
        self._under_way.add(key)
        try:
            return await (await self._opened()).send(call, key=key, deadline_s=deadline_s)
        except BaseException:
            await self._done(key)
            raise

    async def knows(self, key: str) -> bool:
        """Whether it was accepted; in a turn."""
        return await (await self._opened()).knows(key)

    async def wait(self, key: str) -> Receipt:
        self._under_way.add(key)
        try:
            return await (await self._opened()).wait(key)
        finally:
            await self._done(key)

    async def close(self) -> None:
        async with self._opening:
            await self._close()

    async def _opened(self) -> OutboxSender:
        async with self._opening:
            if self._sender is None:
                self._sender = await self._open()
            return self._sender

    async def _open(self) -> OutboxSender:
        async with AsyncExitStack() as stack:
            outbox = Database(self._data_path / "outbox.sqlite")
            database = await stack.enter_async_context(outbox)
            sender = await self._enter_in_turn(stack, database)
            self._stack = stack.pop_all()
        self._running = asyncio.create_task(sender.run())
        return sender

    async def _enter_in_turn(self, stack: AsyncExitStack, database: Database) -> OutboxSender:
        loop = asyncio.get_running_loop()
        given_up_s = loop.time() + TURN_PATIENCE_S
        while True:
            sender = OutboxSender(
                rpc=self._network.rpc,
                hints=self._network.hints,
                database=database,
                identity=self._network.identity,
                account=self._account,
                lock_dir=self._data_path / "locks",
            )
            try:
                return await stack.enter_async_context(sender)
            except KeyInUse:
                if loop.time() > given_up_s:
                    raise
            await asyncio.sleep(TURN_RETRY_S)

    async def _done(self, key: str) -> None:
        """In a task of its own: a caller that is cancelled here must not leave a sender behind
        which is open and runs no more."""
        self._under_way.discard(key)
        closing = asyncio.create_task(self._close_if_idle())
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)
        await asyncio.shield(closing)

    async def _close_if_idle(self) -> None:
        async with self._opening:
            if not self._under_way:
                await self._close()

    async def _close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        self._running = self._sender = None
        await self._stack.aclose()


async def _former_mined(sender: OutboxSender) -> None:
    """Credit and permits that an earlier client used are unused in what the chain tells so far."""
    try:
        async with asyncio.timeout(FORMER_PATIENCE_S):
            await sender.former_mined()
    except TimeoutError as error:
        raise ChainUnavailable(
            f"what {sender.address} sent earlier is not mined yet", hint="try again later"
        ) from error
