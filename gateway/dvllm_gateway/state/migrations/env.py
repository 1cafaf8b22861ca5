"""What alembic runs to reach the database: the connection of whoever called it."""

from alembic import context

from dvllm_gateway.state.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
