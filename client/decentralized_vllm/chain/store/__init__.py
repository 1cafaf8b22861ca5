"""What must survive a restart: the event cursor and the outbox of transactions."""
