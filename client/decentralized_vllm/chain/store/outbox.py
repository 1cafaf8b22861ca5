"""Rows of the outbox: what one key has sent on one chain, and every signed attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select, update

from decentralized_vllm.chain.fees import Fees
from decentralized_vllm.chain.outgoing import Attempt, Inclusion, Outgoing, State
from decentralized_vllm.chain.store.tables import outbox_attempt as attempts
from decentralized_vllm.chain.store.tables import outbox_transaction as transactions
from decentralized_vllm.protocol.ids import Address, BlockNumber, TxHash, Wei
from decentralized_vllm.protocol.transactions import Call

PRUNED_AT_ONCE = 200  # so that nobody waits for the database meanwhile

# Built once: to build a statement costs more than to run it.
_OURS = (
    transactions.c.chain == bindparam("our_chain"),
    transactions.c.sender == bindparam("our_sender"),
)
_BY_KEYS = transactions.c.key.in_(bindparam("keys", expanding=True))
_WHOLE = select(transactions).where(*_OURS).order_by(transactions.c.nonce, transactions.c.id)
_OPEN = _WHOLE.where(transactions.c.state != State.SETTLED)
_FOUND = _WHOLE.where(_BY_KEYS)
_OLD = (
    select(transactions.c.id)
    .where(*_OURS, transactions.c.settled_s < bindparam("before_s"))
    .limit(PRUNED_AT_ONCE)
)
_ATTEMPTS = (
    select(attempts)
    .where(attempts.c.transaction_id == bindparam("row_id"))
    .order_by(attempts.c.nonce, attempts.c.max_fee_wei)
)
_INSERT = insert(transactions).returning(transactions.c.key, transactions.c.id)
_INSERT_ATTEMPT = insert(attempts)


@dataclass(frozen=True, slots=True)
class NewTransaction:
    """A transaction before it has a row."""

    key: str
    call: Call
    deadline_s: int | None
    gas_limit: int
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class OutboxTable:
    """Every method runs inside a transaction of the database."""

    chain: str
    sender: Address

    def open(self, tx: Connection) -> list[Outgoing]:
        """Everything that is not settled, in order of nonce."""
        return self._load(tx, _OPEN)

    def find(self, tx: Connection, keys: Sequence[str]) -> dict[str, Outgoing]:
        """Those that there are, by key."""
        return {outgoing.key: outgoing for outgoing in self._load(tx, _FOUND, keys=keys)}

    def insert(self, tx: Connection, new: Sequence[NewTransaction]) -> list[Outgoing]:
        rows = tx.execute(_INSERT, [self._new_values(each) for each in new]).all()
        row_ids = {row.key: row.id for row in rows}
        added = [_added(row_ids[each.key], each) for each in new]
        tx.execute(_INSERT_ATTEMPT, [_attempt_values(each.id, each.latest) for each in added])
        return added

    def _new_values(self, new: NewTransaction) -> dict[str, Any]:
        return {
            "chain": self.chain,
            "sender": self.sender,
            "key": new.key,
            "to_address": new.call.to,
            "data": new.call.data,
            "label": new.call.label[:300],
            "deadline_s": new.deadline_s,
            "state": State.PENDING,
            "nonce": new.attempt.nonce,
            "gas_limit": new.gas_limit,
        }

    def add_attempt(self, tx: Connection, outgoing: Outgoing) -> None:
        """Stores the latest attempt and the row it changed."""
        tx.execute(_INSERT_ATTEMPT, [_attempt_values(outgoing.id, outgoing.latest)])
        self.update(tx, [outgoing])

    def replace_attempts(self, tx: Connection, outgoing: Outgoing) -> None:
        """As above, and forgets the earlier attempts: they are known to be spent."""
        tx.execute(delete(attempts).where(attempts.c.transaction_id == outgoing.id))
        self.add_attempt(tx, outgoing)

    def update(self, tx: Connection, changed: Sequence[Outgoing]) -> None:
        tx.execute(_UPDATE, [{"row_id": o.id, **_mutable_values(o)} for o in changed])

    def prune(self, tx: Connection, settled_before_s: int) -> None:
        """Forgets some of what was settled earlier than that; the next call forgets the rest."""
        row_ids = tx.execute(_OLD, {**self._ours, "before_s": settled_before_s}).scalars().all()
        if row_ids:
            tx.execute(delete(attempts).where(attempts.c.transaction_id.in_(row_ids)))
            tx.execute(delete(transactions).where(transactions.c.id.in_(row_ids)))

    @property
    def _ours(self) -> dict[str, Any]:
        return {"our_chain": self.chain, "our_sender": self.sender}

    def _load(self, tx: Connection, query: Select[Any], **values: Any) -> list[Outgoing]:
        rows = tx.execute(query, {**self._ours, **values}).all()
        return [_outgoing(row, _attempts_of(tx, row.id)) for row in rows]


def _added(row_id: int, new: NewTransaction) -> Outgoing:
    return Outgoing(
        id=row_id,
        key=new.key,
        call=new.call,
        deadline_s=new.deadline_s,
        state=State.PENDING,
        nonce=new.attempt.nonce,
        gas_limit=new.gas_limit,
        attempts=(new.attempt,),
    )


def _attempt_values(row_id: int, attempt: Attempt) -> dict[str, Any]:
    return {
        "hash": attempt.hash,
        "transaction_id": row_id,
        "nonce": attempt.nonce,
        "raw": attempt.raw,
        "max_fee_wei": attempt.fees.max_fee_wei,
        "tip_wei": attempt.fees.tip_wei,
        "is_cancellation": int(attempt.is_cancellation),
    }


def _attempts_of(tx: Connection, row_id: int) -> tuple[Attempt, ...]:
    rows = tx.execute(_ATTEMPTS, {"row_id": row_id}).all()
    return tuple(
        Attempt(
            hash=TxHash(row.hash),
            raw=row.raw,
            nonce=row.nonce,
            fees=Fees(Wei(row.max_fee_wei), Wei(row.tip_wei)),
            is_cancellation=bool(row.is_cancellation),
        )
        for row in rows
    )


def _outgoing(row: Row[Any], attempts_: tuple[Attempt, ...]) -> Outgoing:
    return Outgoing(
        id=row.id,
        key=row.key,
        call=Call(to=Address(row.to_address), data=row.data, label=row.label),
        deadline_s=row.deadline_s,
        state=State(row.state),
        nonce=row.nonce,
        gas_limit=row.gas_limit,
        attempts=attempts_,
        inclusion=_inclusion(row),
        failure=row.failure,
        revert_data=row.revert_data,
        settled_s=row.settled_s,
    )


def _inclusion(row: Row[Any]) -> Inclusion | None:
    if row.mined_hash is None:
        return None
    return Inclusion(
        tx_hash=TxHash(row.mined_hash),
        block_number=BlockNumber(row.block_number),
        block_hash=row.block_hash,
        gas_used=row.gas_used,
        gas_price_wei=Wei(row.gas_price_wei),
    )


def _mutable_values(outgoing: Outgoing) -> dict[str, Any]:
    mined = outgoing.inclusion
    return {
        "state": outgoing.state,
        "nonce": outgoing.nonce,
        "gas_limit": outgoing.gas_limit,
        "failure": outgoing.failure and outgoing.failure[:500],
        "revert_data": outgoing.revert_data,
        "mined_hash": mined and mined.tx_hash,
        "block_number": mined and mined.block_number,
        "block_hash": mined and mined.block_hash,
        "gas_used": mined and mined.gas_used,
        "gas_price_wei": mined and mined.gas_price_wei,
        "settled_s": outgoing.settled_s,
    }


_MUTABLE = (
    "state",
    "nonce",
    "gas_limit",
    "failure",
    "revert_data",
    "mined_hash",
    "block_number",
    "block_hash",
    "gas_used",
    "gas_price_wei",
    "settled_s",
)
_UPDATE = (
    update(transactions)
    .where(transactions.c.id == bindparam("row_id"))
    .values({name: bindparam(name) for name in _MUTABLE})
)
