"""Idempotency keys and cancellations that outlive the process they were told to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency", sa.Column("first_task", sa.String(length=26), nullable=True))
    op.add_column(
        "idempotency",
        sa.Column("held_until_ms", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.add_column(
        "task", sa.Column("is_unwanted", sa.Boolean(), nullable=False, server_default=sa.false())
    )
