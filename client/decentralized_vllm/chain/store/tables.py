"""Tables of cursor and outbox. `chain` is a ChainIdentity as text: a reset chain starts afresh."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import CreateTable

from decentralized_vllm.chain.store.schema import UPGRADES

COMPONENT = "chain"
SCHEMA_VERSION = 3

metadata = MetaData()

# The blocks up to which a feed was applied, newest last: the cursor and its history.
feed_block = Table(
    "feed_block",
    metadata,
    Column("chain", String(80), primary_key=True),
    Column("feed", String(60), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("hash", String(66), nullable=False),
)

# Logs already applied, as far back as they could be read again.
feed_log = Table(
    "feed_log",
    metadata,
    Column("chain", String(80), primary_key=True),
    Column("feed", String(60), primary_key=True),
    Column("block_hash", String(66), primary_key=True),
    Column("tx_hash", String(66), primary_key=True),
    Column("log_index", Integer, primary_key=True),
    Column("block_number", BigInteger, nullable=False, index=True),
)

# One row per accepted send. Prices of gas in wei fit 64 bits by a factor of a billion.
outbox_transaction = Table(
    "outbox_transaction",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("chain", String(80), nullable=False),
    Column("sender", String(42), nullable=False),
    Column("key", String(200), nullable=False),
    Column("to_address", String(42), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("label", String(300), nullable=False),
    Column("deadline_s", BigInteger, nullable=True),
    Column("state", String(20), nullable=False, index=True),
    Column("nonce", BigInteger, nullable=False),
    Column("gas_limit", BigInteger, nullable=False),
    Column("failure", String(500), nullable=True),
    Column("revert_data", LargeBinary, nullable=True),
    Column("mined_hash", String(66), nullable=True),
    Column("block_number", BigInteger, nullable=True),
    Column("block_hash", String(66), nullable=True),
    Column("gas_used", BigInteger, nullable=True),
    Column("gas_price_wei", BigInteger, nullable=True),
    # Chain time; null also for what was settled under version 1, which is kept for ever.
    Column("settled_s", BigInteger, nullable=True, index=True),
    UniqueConstraint("chain", "sender", "key"),
)

# Every signed version of a transaction: any of them may be the one that is mined. Its hash is its
# own on its chain alone: a local one that starts afresh gives the same nonces out again.
outbox_attempt = Table(
    "outbox_attempt",
    metadata,
    Column("transaction_id", ForeignKey(outbox_transaction.c.id), primary_key=True),
    Column("hash", String(66), primary_key=True),
    Column("nonce", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("max_fee_wei", BigInteger, nullable=False),
    Column("tip_wei", BigInteger, nullable=False),
    Column("is_cancellation", Integer, nullable=False),
)

_ATTEMPT = "transaction_id, hash, nonce, raw, max_fee_wei, tip_wei, is_cancellation"

metadata.info[UPGRADES] = {
    2: (
        "ALTER TABLE outbox_transaction ADD COLUMN settled_s BIGINT",
        "CREATE INDEX ix_outbox_transaction_settled_s ON outbox_transaction (settled_s)",
    ),
    3: (
        "ALTER TABLE outbox_attempt RENAME TO outbox_attempt_of_2",
        CreateTable(outbox_attempt),  # SQLite gives no table another key
        f"INSERT INTO outbox_attempt ({_ATTEMPT}) SELECT {_ATTEMPT} FROM outbox_attempt_of_2",
        "DROP TABLE outbox_attempt_of_2",
    ),
}
