"""The tables as they are now; `migrations` tells how they became so. Times are Unix ms."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

from dvllm_gateway.state.columns import AnyText, CountedId, ExactInteger

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ACCOUNT_CHARS = 100
ADDRESS_CHARS = 42
HASH_CHARS = 66
ULID_CHARS = 26

account = Table(
    "account",
    metadata,
    Column("id", String(ACCOUNT_CHARS), primary_key=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("available_wei", ExactInteger, nullable=False),
    Column("reserved_wei", ExactInteger, nullable=False),
)

# Only ever added to: an account's balance is the sum of its lines.
ledger = Table(
    "ledger",
    metadata,
    Column("id", CountedId, primary_key=True, autoincrement=True),
    Column("account", ForeignKey(account.c.id), nullable=False),
    Column("movement", String(20), nullable=False),
    Column("available_wei", ExactInteger, nullable=False),
    Column("reserved_wei", ExactInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("task_id", String(ULID_CHARS), nullable=True),
    Column("reason", Text, nullable=False),
    Index(None, "account", "id"),
)

task = Table(
    "task",
    metadata,
    Column("id", String(ULID_CHARS), primary_key=True),
    Column("account", ForeignKey(account.c.id), nullable=False),
    Column("model_id", AnyText, nullable=False),
    Column("prompt_cid", String(100), nullable=False),
    Column("max_tokens", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("reserved_wei", ExactInteger, nullable=False),
    Column("sender", String(ADDRESS_CHARS), nullable=False),
    Column("ceiling_wei", ExactInteger, nullable=False),
    Column("share", Integer, nullable=False),
    Column("node", String(ADDRESS_CHARS), nullable=True),
    Column("job_id", ExactInteger, nullable=True),
    Column("request_tx", String(HASH_CHARS), nullable=True),
    Column("submitted_at_ms", BigInteger, nullable=True),
    Column("started_at_ms", BigInteger, nullable=True),
    Column("worker", String(ADDRESS_CHARS), nullable=True),
    Column("completed_at_ms", BigInteger, nullable=True),
    Column("response_cid", String(100), nullable=True),
    Column("finish_reason", String(20), nullable=True),
    Column("n_prompt_tokens", BigInteger, nullable=True),
    Column("n_output_tokens", BigInteger, nullable=True),
    Column("receipt", Text, nullable=True),
    Column("cost_wei", ExactInteger, nullable=False),
    Column("failure_kind", String(40), nullable=True),
    Column("failure_message", AnyText, nullable=True),
    Column("is_unwanted", Boolean, nullable=False, server_default=false()),
    Index(None, "account", "id"),
    Index(None, "sender", "job_id"),
    Index(None, "state"),
)

# Apart from `task`, so that progress and lists never move a megabyte of text. The document goes
# when the task is over: it was needed to put it on chain. The rest goes when the task is old.
task_text = Table(
    "task_text",
    metadata,
    Column("task_id", ForeignKey(task.c.id), primary_key=True),
    Column("prompt", AnyText, nullable=False),
    Column("response", AnyText, nullable=True),
    Column("document", LargeBinary, nullable=True),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("account", ForeignKey(account.c.id), nullable=False, index=True),
    Column("scopes", String(200), nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("last_used_at_ms", BigInteger, nullable=True),
    Column("is_revoked", Boolean, nullable=False),
)

# Of signed requests: present means spent.
request_nonce = Table(
    "request_nonce",
    metadata,
    Column("address", String(ADDRESS_CHARS), primary_key=True),
    Column("nonce", String(64), primary_key=True),
    Column("until_ms", BigInteger, nullable=False, index=True),
)

# Of logins: present means issued and not yet used.
login_nonce = Table(
    "login_nonce",
    metadata,
    Column("nonce", String(64), primary_key=True),
    Column("address", String(ADDRESS_CHARS), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False, index=True),
)

# `status`, `body` and `headers` are null while there is no reply to send again. Until
# `held_until_ms` the request runs in some process; its tasks are `first_task` and those after it.
idempotency = Table(
    "idempotency",
    metadata,
    Column("account", String(ACCOUNT_CHARS), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("until_ms", BigInteger, nullable=False, index=True),
    Column("first_task", String(ULID_CHARS), nullable=True),
    Column("held_until_ms", BigInteger, nullable=False, server_default="0"),
    Column("status", Integer, nullable=True),
    Column("body", LargeBinary, nullable=True),
    Column("headers", Text, nullable=True),
)

# A task's event names the task; `payload` (JSON) holds what the others tell.
event = Table(
    "event",
    metadata,
    Column("cursor", CountedId, primary_key=True, autoincrement=True),
    Column("name", String(40), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("account", String(ACCOUNT_CHARS), nullable=True),
    Column("task_id", String(ULID_CHARS), nullable=True),
    Column("payload", Text, nullable=True),
    sqlite_autoincrement=True,  # a cursor is never given out again
)

# What was credited of what the chain tells now; a re-organisation takes rows away again.
deposit = Table(
    "deposit",
    metadata,
    Column("chain", String(80), primary_key=True),
    Column("block_hash", String(HASH_CHARS), primary_key=True),
    Column("tx_hash", String(HASH_CHARS), primary_key=True),
    Column("log_index", Integer, primary_key=True),
    Column("block_number", BigInteger, nullable=False),
    # The address it was sent to, whose watch may take it back; "" in rows of older releases.
    Column("payee", String(ADDRESS_CHARS), nullable=False, server_default=""),
    Column("account", ForeignKey(account.c.id), nullable=False),
    Column("amount_wei", ExactInteger, nullable=False),
    Index(None, "chain", "block_number"),
    Index(None, "tx_hash"),
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("holder", String(100), nullable=False),
    Column("until_s", Float(53), nullable=False),
)
