"""The one owner of a key: what it accepts gets mined, across restarts, price rises and re-orgs."""

import asyncio
import logging
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

from eth_account.signers.local import LocalAccount
from filelock import FileLock, Timeout

from decentralized_vllm.chain.chain_view import read_view
from decentralized_vllm.chain.confirmation import View
from decentralized_vllm.chain.confirmer import Confirmer, SenderSettings
from decentralized_vllm.chain.heads import HeadHints
from decentralized_vllm.chain.identity import ChainIdentity
from decentralized_vllm.chain.intake import Intake, Order, Sending
from decentralized_vllm.chain.outbox import Outbox
from decentralized_vllm.chain.outgoing import Outgoing, State
from decentralized_vllm.chain.preparation import Simulation
from decentralized_vllm.chain.reverts import revert_error
from decentralized_vllm.chain.rpc import Rpc, jittered_backoff_s
from decentralized_vllm.chain.signing import TransactionSigner
from decentralized_vllm.chain.store import tables
from decentralized_vllm.chain.store.database import Along, Transactions
from decentralized_vllm.chain.store.outbox import OutboxTable
from decentralized_vllm.chain.store.schema import apply_schema
from decentralized_vllm.chain.submission import Submission
from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    KeyInUse,
    RetryableError,
    StorageFull,
    TransactionFailed,
    WrongChain,
)
from decentralized_vllm.protocol.ids import Address, TxHash, Wei
from decentralized_vllm.protocol.transactions import Call, Receipt

log = logging.getLogger(__name__)

RECENT_S = 2.0


class OutboxSender:
    """The TransactionSender port. Enter it (it locks the key and loads the outbox), then keep
    `run()` in a task of the same group for as long as anything is sent or waited for.

    `lock_dir` holds one lock file per chain and key, shared by all processes of a user. Entering
    raises KeyInUse when another process sends with this key.
    """

    def __init__(
        self,
        *,
        rpc: Rpc,
        hints: HeadHints,
        database: Transactions,
        identity: ChainIdentity,
        account: LocalAccount,
        lock_dir: Path,
        settings: SenderSettings | None = None,
    ) -> None:
        self._rpc = rpc
        self._hints = hints
        self._database = database
        self._settings = settings or SenderSettings.for_chain(identity)
        self._signer = TransactionSigner(account, identity.chain_id)
        self._outbox = Outbox(database, OutboxTable(str(identity), self._signer.address))
        self._submission = Submission(rpc, self._signer, self._outbox, self._settings.fees)
        self._confirmer = Confirmer(
            rpc, self._signer, self._outbox, self._submission, self._settings
        )
        self._lock = _lock(lock_dir, identity, self.address)
        self._view: View | None = None
        self._intake = Intake(
            rpc, self.address, self._outbox, self._submission, self._settings, self._recent_view
        )
        # Held by whoever uses a lock; the others vanish.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._former: list[str] = []
        self._is_stopped = False

    @property
    def address(self) -> Address:
        return self._signer.address

    async def __aenter__(self) -> Self:
        _acquire(self._lock, self.address)
        try:
            await self._database.transaction(
                lambda tx: apply_schema(
                    tx, tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata
                )
            )
            await self._outbox.load()
            self._former = [outgoing.key for outgoing in self._outbox.waiting()]
        except BaseException:
            self._lock.release()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._intake.close()  # nothing may be signed once the lock is free
        finally:
            self._lock.release()

    async def send(self, call: Call, *, key: str, deadline_s: float | None = None) -> TxHash:
        """See the port. Where `max_in_flight` are unmined, waits until one of them is mined."""
        # One caller per key: nobody may store it between another's look and its own.
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = await self._outbox.find(key)
            if known is None:
                sending = await self._accepted(Order(call, key, deadline_s))
                known = await sending.offered
        return known.latest.hash

    async def store_new(
        self, call: Call, *, key: str, simulation: Simulation, along: Along | None = None
    ) -> Sending:
        """Makes durable what `send` would send, and `along` with it, and begins to offer it.

        For a key that nobody can have used and a call that was just simulated: neither is looked
        at again. Raises what `along` raises, and neither was stored then.
        """
        return await self._accepted(Order(call, key, None, simulation, along))

    @property
    def is_ready(self) -> bool:
        """Whether the next transaction waits for no other to be mined, and not for the chain."""
        return self._intake.has_room and self._seen_lately() is not None

    async def simulate(self, call: Call) -> Simulation:
        """At the latest block. Raises what `send` would for a call that reverts."""
        self._refuse_if_room_never_comes()
        return await self._intake.simulate(call)

    async def _accepted(self, order: Order) -> Sending:
        self._refuse_if_room_never_comes()
        return await self._intake.accept(order)

    def _refuse_if_room_never_comes(self) -> None:
        if self._is_stopped and not self._intake.has_room:
            raise _stopped()

    async def knows(self, key: str) -> bool:
        """Whether `send` accepted this key, in this process or a former one."""
        return await self._outbox.find(key) is not None

    async def former_mined(self) -> None:
        """What was under way when this was entered is over, and counts in what the chain tells."""
        await self._outbox.changed.until(lambda: all(map(self._is_over, self._former)))

    async def wait(self, key: str) -> Receipt:
        """See the port. `confirmations` of the settings say how deep counts as mined."""
        while True:
            await self._outbox.changed.until(lambda: self._is_over(key))
            outgoing = await self._outbox.find(key)
            if outgoing is None:
                raise TransactionFailed(f"nothing was sent as {key!r}")
            if self._is_done(outgoing):
                return _outcome(outgoing)
            if self._is_stopped:
                raise ChainUnavailable(f"{outgoing.call.label}: the sender was stopped")

    async def run(self) -> None:
        """Until cancelled. Outages of chain and database, and a full disk, are waited out."""
        self._is_stopped = False
        failures = 0
        try:
            while True:
                hints_seen = self._hints.count
                try:
                    await self._tick()
                except (RetryableError, StorageFull, WrongChain) as error:
                    failures += 1
                    log.warning("sender_waits", extra={"reason": str(error), "failures": failures})
                    await asyncio.sleep(jittered_backoff_s(0.1, failures))
                    continue
                failures = 0
                await self._hints.wait(hints_seen, self._pause_s())
                await asyncio.sleep(self._settings.after_block_s)
        finally:
            self._is_stopped = True
            self._outbox.changed.look()
            self._intake.refuse(_stopped())

    async def balance(self) -> Wei:
        """Of the chain's own coin, which pays for gas."""
        return Wei(int(await self._rpc.call("eth_getBalance", self.address, "latest"), 16))

    async def _tick(self) -> None:
        await self._outbox.be_sure()
        if self._outbox.is_empty:
            return
        self._view = await read_view(self._rpc, self.address)
        await self._confirmer.tick(self._view)
        self._outbox.changed.look()
        self._intake.nudge()

    def _pause_s(self) -> float:
        """What is mined already is only watched for re-organisations, which can wait a little."""
        return self._settings.poll_s * (1 if self._outbox.n_waiting else 5)

    async def _recent_view(self) -> View:
        seen = self._seen_lately()
        if seen is None:
            seen = self._view = await read_view(self._rpc, self.address)
        return seen

    def _seen_lately(self) -> View | None:
        if self._view is None:
            return None
        age_s = asyncio.get_running_loop().time() - self._view.seen_at_s
        return self._view if age_s <= RECENT_S else None

    def _is_over(self, key: str) -> bool:
        """Nothing more to wait for; what is not open is settled, or was never sent."""
        outgoing = self._outbox.unsettled(key)
        return self._is_stopped or outgoing is None or self._is_done(outgoing)

    def _is_done(self, outgoing: Outgoing) -> bool:
        if outgoing.state is State.SETTLED:
            return True
        if outgoing.inclusion is None or self._view is None:
            return False
        depth = self._view.block_number - outgoing.inclusion.block_number + 1
        return depth >= self._settings.confirmations


def _stopped() -> ChainUnavailable:
    return ChainUnavailable("the sender was stopped")


def _outcome(outgoing: Outgoing) -> Receipt:
    if outgoing.failure is None:
        return outgoing.receipt()
    if outgoing.revert_data is not None:
        raise revert_error(outgoing.revert_data, call=outgoing.call.label)
    raise TransactionFailed(f"{outgoing.call.label}: {outgoing.failure}")


def _lock(lock_dir: Path, identity: ChainIdentity, address: Address) -> FileLock:
    """The genesis hash keeps two local chains of one machine apart, whose ids are the same."""
    lock_dir.mkdir(parents=True, exist_ok=True)
    name = f"{identity.chain_id}-{identity.genesis_hash[2:10]}-{address}.lock"
    return FileLock(lock_dir / name, thread_local=False)


def _acquire(lock: FileLock, address: Address) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise KeyInUse(
            "private_key",
            f"another process on this machine sends with {address}",
            hint="stop it, or use another key",
        ) from None
