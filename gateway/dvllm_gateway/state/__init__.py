"""Durable state: tables, migrations and the transactions over them."""
