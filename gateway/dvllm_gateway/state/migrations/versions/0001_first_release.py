"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

from dvllm_gateway.state.columns import AnyText, CountedId, ExactInteger

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_accounts()
    _make_tasks()
    _make_task_texts()
    _make_logins()
    _make_rest()


def _make_accounts() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("available_wei", ExactInteger, nullable=False),
        sa.Column("reserved_wei", ExactInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
    )
    op.create_table(
        "ledger",
        sa.Column("id", CountedId, autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("movement", sa.String(length=20), nullable=False),
        sa.Column("available_wei", ExactInteger, nullable=False),
        sa.Column("reserved_wei", ExactInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.String(length=26), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name="fk_ledger_account"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
    )
    op.create_index("ix_ledger_account_id", "ledger", ["account", "id"])
    op.create_table(
        "deposit",
        sa.Column("chain", sa.String(length=80), nullable=False),
        sa.Column("block_hash", sa.String(length=66), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("amount_wei", ExactInteger, nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name="fk_deposit_account"),
        sa.PrimaryKeyConstraint("chain", "block_hash", "tx_hash", "log_index", name="pk_deposit"),
    )
    op.create_index("ix_deposit_chain_block_number", "deposit", ["chain", "block_number"])
    op.create_index("ix_deposit_tx_hash", "deposit", ["tx_hash"])


def _make_tasks() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("model_id", AnyText, nullable=False),
        sa.Column("prompt_cid", sa.String(length=100), nullable=False),
        sa.Column("max_tokens", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("reserved_wei", ExactInteger, nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("ceiling_wei", ExactInteger, nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(length=42), nullable=True),
        sa.Column("job_id", ExactInteger, nullable=True),
        sa.Column("request_tx", sa.String(length=66), nullable=True),
        sa.Column("submitted_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("worker", sa.String(length=42), nullable=True),
        sa.Column("completed_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("response_cid", sa.String(length=100), nullable=True),
        sa.Column("finish_reason", sa.String(length=20), nullable=True),
        sa.Column("n_prompt_tokens", sa.BigInteger(), nullable=True),
        sa.Column("n_output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("cost_wei", ExactInteger, nullable=False),
        sa.Column("failure_kind", sa.String(length=40), nullable=True),
        sa.Column("failure_message", AnyText, nullable=True),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name="fk_task_account"),
        sa.PrimaryKeyConstraint("id", name="pk_task"),
    )
    op.create_index("ix_task_account_id", "task", ["account", "id"])
    op.create_index("ix_task_sender_job_id", "task", ["sender", "job_id"])
    op.create_index("ix_task_state", "task", ["state"])


def _make_task_texts() -> None:
    op.create_table(
        "task_text",
        sa.Column("task_id", sa.String(length=26), nullable=False),
        sa.Column("prompt", AnyText, nullable=False),
        sa.Column("response", AnyText, nullable=True),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name="fk_task_text_task_id"),
        sa.PrimaryKeyConstraint("task_id", name="pk_task_text"),
    )


def _make_logins() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("is_revoked", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name="fk_api_key_account"),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
    )
    op.create_index("ix_api_key_account", "api_key", ["account"])
    op.create_table(
        "request_nonce",
        sa.Column("address", sa.String(length=42), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", "nonce", name="pk_request_nonce"),
    )
    op.create_index("ix_request_nonce_until_ms", "request_nonce", ["until_ms"])
    op.create_table(
        "login_nonce",
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=42), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name="pk_login_nonce"),
    )
    op.create_index("ix_login_nonce_expires_at_ms", "login_nonce", ["expires_at_ms"])


def _make_rest() -> None:
    op.create_table(
        "idempotency",
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_until_ms", "idempotency", ["until_ms"])
    op.create_table(
        "event",
        sa.Column("cursor", CountedId, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=True),
        sa.Column("task_id", sa.String(length=26), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("cursor", name="pk_event"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("holder", sa.String(length=100), nullable=False),
        sa.Column("until_s", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
