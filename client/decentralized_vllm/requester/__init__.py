"""The requester's side of a job, step by step; `aio.AsyncClient` puts the steps together."""
