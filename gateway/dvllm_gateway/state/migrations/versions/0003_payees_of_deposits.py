"""Whom a deposit was sent to: gateways with a key each may share a database."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what was credited before it is not known: an empty name, which is everybody's."""
    op.add_column(
        "deposit", sa.Column("payee", sa.String(length=42), nullable=False, server_default="")
    )
