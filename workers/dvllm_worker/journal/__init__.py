"""The node's durable memory of its jobs, beside cursor and outbox in one database."""
