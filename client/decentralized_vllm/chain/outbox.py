"""What a key has sent and not yet settled: in the database first, then in memory."""

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection

from decentralized_vllm.chain.confirmation import Sent
from decentralized_vllm.chain.outgoing import Attempt, Outgoing, State
from decentralized_vllm.chain.store.database import Transactions
from decentralized_vllm.chain.store.outbox import NewTransaction, OutboxTable
from decentralized_vllm.chain.waiters import Waiters
from decentralized_vllm.grouping import Grouped
from decentralized_vllm.protocol.errors import StorageBusy


class Outbox:
    """Every change is durable before it can be seen here. `changed` wakes who waits for one."""

    def __init__(self, database: Transactions, table: OutboxTable) -> None:
        self.changed = Waiters()
        self._database = database
        self._table = table
        self._waiting: dict[str, Outgoing] = {}
        self._mined: dict[str, Outgoing] = {}
        self._sent: dict[str, Sent] = {}
        self._settled = Grouped(self._find_settled)
        self._highest_nonce = -1
        self._is_unsure = False

    async def be_sure(self) -> None:
        """Looks up what the database may have kept without saying so: its nonce is taken then, and
        it has to be sent. Before nonces are given out."""
        if self._is_unsure:
            await self.load()
            self._is_unsure = False

    async def load(self) -> None:
        for outgoing in await self._database.transaction(self._table.open):
            self._show(outgoing)

    @property
    def is_empty(self) -> bool:
        return not self._waiting and not self._mined

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    @property
    def highest_nonce(self) -> int:
        """Of everything that is not settled; -1 if there is nothing."""
        return self._highest_nonce

    def waiting(self) -> list[Outgoing]:
        """Everything that is not mined, in order of nonce."""
        return sorted(self._waiting.values(), key=lambda outgoing: outgoing.nonce)

    def mined(self) -> list[Outgoing]:
        """Everything that is mined and could still be lost again."""
        return list(self._mined.values())

    def unsettled(self, key: str) -> Outgoing | None:
        return self._waiting.get(key) or self._mined.get(key)

    async def find(self, key: str) -> Outgoing | None:
        return self.unsettled(key) or await self._settled(key)

    async def _find_settled(self, keys: Sequence[str]) -> list[Outgoing | Exception | None]:
        found = await self._database.transaction(lambda tx: self._table.find(tx, keys))
        return [found.get(key) for key in keys]

    async def add(
        self, make: Callable[[Connection], Sequence[NewTransaction | Exception]]
    ) -> list[Outgoing | Exception]:
        """What `make` makes inside the transaction; the errors in it stay where they are."""

        def insert(tx: Connection) -> list[Outgoing | Exception]:
            made = make(tx)
            new = [each for each in made if isinstance(each, NewTransaction)]
            added = iter(self._table.insert(tx, new) if new else ())
            return [each if isinstance(each, Exception) else next(added) for each in made]

        try:
            added = await self._database.transaction(insert)
        except StorageBusy:
            self._is_unsure = True
            raise
        for outgoing in added:
            if isinstance(outgoing, Outgoing):
                self._show(outgoing)
        return added

    async def add_attempt(self, outgoing: Outgoing, attempt: Attempt) -> Outgoing:
        signed = outgoing.with_attempt(attempt)
        await self._database.transaction(lambda tx: self._table.add_attempt(tx, signed))
        self._show(signed)
        return signed

    async def replace_attempts(self, outgoing: Outgoing) -> Outgoing:
        """Keeps only the latest attempt: the earlier ones are known to be spent."""
        await self._database.transaction(lambda tx: self._table.replace_attempts(tx, outgoing))
        self._show(outgoing)
        return outgoing

    async def save(self, changed: Sequence[Outgoing]) -> None:
        if not changed:
            return
        await self._database.transaction(lambda tx: self._table.update(tx, changed))
        for outgoing in changed:
            self._show(outgoing)
        self.changed.look()

    async def settle(self, deep: Sequence[Outgoing], *, forget_before_s: int) -> None:
        """Saves what is settled, and forgets what was settled before `forget_before_s`."""
        if not deep:
            return

        def record(tx: Connection) -> None:
            self._table.update(tx, deep)
            self._table.prune(tx, forget_before_s)

        await self._database.transaction(record)
        for outgoing in deep:
            self._show(outgoing)
        self.changed.look()

    def sent(self, outgoing: Outgoing) -> Sent | None:
        """When this process last offered it to the endpoints."""
        return self._sent.get(outgoing.key)

    def note_sent(self, outgoings: Iterable[Outgoing], sent: Sent) -> None:
        for outgoing in outgoings:
            self._sent[outgoing.key] = sent

    def _show(self, outgoing: Outgoing) -> None:
        self._waiting.pop(outgoing.key, None)
        self._mined.pop(outgoing.key, None)
        if outgoing.state is State.PENDING:
            self._waiting[outgoing.key] = outgoing
        else:
            self._sent.pop(outgoing.key, None)
        if outgoing.state is State.MINED:
            self._mined[outgoing.key] = outgoing
        self._count_nonce(outgoing)

    def _count_nonce(self, shown: Outgoing) -> None:
        if shown.state is not State.SETTLED:
            self._highest_nonce = max(self._highest_nonce, shown.nonce)
        elif shown.nonce == self._highest_nonce:
            unsettled = (*self._waiting.values(), *self._mined.values())
            self._highest_nonce = max((outgoing.nonce for outgoing in unsettled), default=-1)
