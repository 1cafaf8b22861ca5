"""Submissions that are made durable in one transaction with what they are for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.chain.intake import Sending
from decentralized_vllm.chain.preparation import Simulation
from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    InsufficientGas,
    TransactionFailed,
    WrongChain,
)
from decentralized_vllm.protocol.ids import TxHash
from decentralized_vllm.protocol.transactions import Call
from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.market.till import Till
from dvllm_gateway.services.stores import Along
from dvllm_gateway.services.task_market import Order


class StoresNew(Protocol):
    """What of an OutboxSender is used."""

    @property
    def is_ready(self) -> bool: ...

    async def store_new(
        self, call: Call, *, key: str, simulation: Simulation, along: Along | None = None
    ) -> Sending: ...


@dataclass(frozen=True, slots=True)
class NewSubmission:
    """What the sender stores, and what is durable with it or not at all."""

    key: str
    call: Call
    simulation: Simulation
    along: Along


@dataclass(frozen=True, slots=True)
class StoredSubmission:
    """See the port Stored."""

    sending: Sending

    async def sent(self) -> TxHash:
        """Raises NetworkUnavailable when the market is closed: whoever has the key sends it."""
        with until_closed():
            await self.sending.asked
        return self.sending.outgoing.latest.hash


class NotStored(Exception):
    """Neither the submission nor what goes along with it: the cause came before."""


class AtOnce:
    """Stores where that waits for nothing but the database, and else does nothing."""

    def __init__(self, sender: StoresNew, till: Till) -> None:
        self._sender = sender
        self._till = till

    async def store(self, order: Order, new: NewSubmission) -> StoredSubmission | None:
        """Raises NotStored, what `along` raises, and GatewayError: then both may be durable."""
        if not self._sender.is_ready:
            return None
        if not self._till.promise_now(order.task_id, order.escrow_wei):
            return None
        try:
            return await self._stored(new)
        except BaseException:
            self._till.settled(order.task_id)
            raise

    async def _stored(self, new: NewSubmission) -> StoredSubmission:
        with as_gateway_errors(), until_closed(), _told_if_before():
            return StoredSubmission(
                await self._sender.store_new(
                    new.call, key=new.key, simulation=new.simulation, along=new.along
                )
            )


@contextmanager
def _told_if_before() -> Iterator[None]:
    try:
        yield
    except (InsufficientGas, TransactionFailed, ChainUnavailable, WrongChain) as error:
        raise NotStored from error


@contextmanager
def until_closed() -> Iterator[None]:
    """Whoever stores from outside the market is told that it was closed, and not cancelled too."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise NetworkUnavailable("this gateway has just stopped to take tasks") from None
