"""Durable state: tables, migrations and the transactions over them."""

from dvllm_gateway.state.accounts import SqlAccountStore
from dvllm_gateway.state.database import Database, database_url, open_database
from dvllm_gateway.state.events import SqlEventStore
from dvllm_gateway.state.idempotency import SqlIdempotencyStore
from dvllm_gateway.state.keys import SqlApiKeyStore
from dvllm_gateway.state.leases import SqlLeaseStore
from dvllm_gateway.state.migrate import migrate
from dvllm_gateway.state.nonces import SqlLoginNonceStore, SqlRequestNonceStore
from dvllm_gateway.state.old_tasks import SqlOldTasks
from dvllm_gateway.state.tasks import SqlTaskStore
from dvllm_gateway.state.transactions import LibraryTransactions

__all__ = [
    "Database",
    "LibraryTransactions",
    "SqlAccountStore",
    "SqlApiKeyStore",
    "SqlEventStore",
    "SqlIdempotencyStore",
    "SqlLeaseStore",
    "SqlLoginNonceStore",
    "SqlOldTasks",
    "SqlRequestNonceStore",
    "SqlTaskStore",
    "database_url",
    "migrate",
    "open_database",
]
