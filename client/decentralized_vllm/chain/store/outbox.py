"""Rows of the outbox: what one key has sent on one chain, and every signed attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from decentralized_vllm.chain.fees import Fees
from decentralized_vllm.chain.outgoing import Attempt, Inclusion, Outgoing, State
from decentralized_vllm.chain.store.tables import outbox_attempt as attempts
from decentralized_vllm.chain.store.tables import outbox_transaction as transactions
from decentralized_vllm.protocol.ids import Address, BlockNumber, TxHash, Wei
from decentralized_vllm.protocol.transactions import Call


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
        return self._load(tx, transactions.c.state != State.SETTLED)

    def find(self, tx: Connection, key: str) -> Outgoing | None:
        return next(iter(self._load(tx, transactions.c.key == key)), None)

    def insert(self, tx: Connection, new: NewTransaction) -> Outgoing:
        values = {
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
        result = tx.execute(insert(transactions).values(**values))
        row_id = int(result.inserted_primary_key[0]) if result.inserted_primary_key else 0
        self._insert_attempt(tx, row_id, new.attempt)
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

    def add_attempt(self, tx: Connection, outgoing: Outgoing) -> None:
        """Stores the latest attempt and the row it changed."""
        self._insert_attempt(tx, outgoing.id, outgoing.latest)
        self.update(tx, [outgoing])

    def replace_attempts(self, tx: Connection, outgoing: Outgoing) -> None:
        """As above, and forgets the earlier attempts: they are known to be spent."""
        tx.execute(delete(attempts).where(attempts.c.transaction_id == outgoing.id))
        self.add_attempt(tx, outgoing)

    def update(self, tx: Connection, changed: Sequence[Outgoing]) -> None:
        for outgoing in changed:
            tx.execute(
                update(transactions)
                .where(transactions.c.id == outgoing.id)
                .values(**_mutable_values(outgoing))
            )

    def _insert_attempt(self, tx: Connection, row_id: int, attempt: Attempt) -> None:
        tx.execute(
            insert(attempts).values(
                hash=attempt.hash,
                transaction_id=row_id,
                nonce=attempt.nonce,
                raw=attempt.raw,
                max_fee_wei=attempt.fees.max_fee_wei,
                tip_wei=attempt.fees.tip_wei,
                is_cancellation=int(attempt.is_cancellation),
            )
        )

    def _load(self, tx: Connection, condition: Any) -> list[Outgoing]:
        query = (
            select(transactions)
            .where(
                transactions.c.chain == self.chain,
                transactions.c.sender == self.sender,
                condition,
            )
            .order_by(transactions.c.nonce, transactions.c.id)
        )
        return [_outgoing(row, _attempts_of(tx, row.id)) for row in tx.execute(query).all()]


def _attempts_of(tx: Connection, row_id: int) -> tuple[Attempt, ...]:
    query = select(attempts).where(attempts.c.transaction_id == row_id)
    rows = tx.execute(query.order_by(attempts.c.nonce, attempts.c.max_fee_wei)).all()
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
    }
