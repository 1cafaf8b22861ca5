"""The outbox as earlier releases made it, and a row in it."""

from sqlalchemy import Connection, insert, select

from decentralized_vllm.chain.store.tables import outbox_attempt, outbox_transaction

TABLES = ("outbox_transaction", "outbox_attempt")
ATTEMPT_HASH = "0x" + "ab" * 32


def back_to_version_2(tx: Connection) -> None:
    """With the hash alone as the key of an attempt."""
    binary = "BYTEA" if tx.dialect.name == "postgresql" else "BLOB"
    columns = "hash, transaction_id, nonce, raw, max_fee_wei, tip_wei, is_cancellation"
    for statement in (
        "ALTER TABLE outbox_attempt RENAME TO outbox_attempt_new",
        "CREATE TABLE outbox_attempt (hash VARCHAR(66) NOT NULL, transaction_id INTEGER NOT NULL,"
        f" nonce BIGINT NOT NULL, raw {binary} NOT NULL, max_fee_wei BIGINT NOT NULL,"
        " tip_wei BIGINT NOT NULL, is_cancellation INTEGER NOT NULL, PRIMARY KEY (hash),"
        " FOREIGN KEY(transaction_id) REFERENCES outbox_transaction (id))",
        "CREATE INDEX ix_outbox_attempt_transaction_id ON outbox_attempt (transaction_id)",
        f"INSERT INTO outbox_attempt ({columns}) SELECT {columns} FROM outbox_attempt_new",
        "DROP TABLE outbox_attempt_new",
        "UPDATE schema_version SET version = 2",
    ):
        tx.exec_driver_sql(statement)


def back_to_version_1(tx: Connection) -> None:
    """From version 2."""
    for statement in (
        "DROP INDEX ix_outbox_transaction_settled_s",
        "ALTER TABLE outbox_transaction DROP COLUMN settled_s",
        "UPDATE schema_version SET version = 1",
    ):
        tx.exec_driver_sql(statement)


def store_attempt(tx: Connection, chain: str, row_id: int) -> None:
    """One transaction on `chain` with one attempt, of the same hash whatever the chain."""
    transaction = {"id": row_id, "chain": chain, "sender": "0x1", "key": "key", "nonce": 0}
    call = {"to_address": "0x2", "data": b"", "label": "call", "gas_limit": 1}
    tx.execute(insert(outbox_transaction).values(**transaction, **call, state="pending"))
    attempt = {"hash": ATTEMPT_HASH, "raw": b"raw", "nonce": 0, "is_cancellation": 0}
    fees = {"max_fee_wei": 1, "tip_wei": 1}
    tx.execute(insert(outbox_attempt).values(transaction_id=row_id, **attempt, **fees))


def attempts_of(tx: Connection) -> list[tuple[int, str, bytes]]:
    columns = (outbox_attempt.c.transaction_id, outbox_attempt.c.hash, outbox_attempt.c.raw)
    rows = tx.execute(select(*columns).order_by(outbox_attempt.c.transaction_id))
    return [(row[0], row[1], bytes(row[2])) for row in rows]
