"""How many tasks run at once, and how long is waited for what others do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """`quote_wait_s` is for the price of a task, before there is one; `unsent_s` how long who
    listens to an answer waits for its task to be sent.
    """

    live: int = 4096
    live_per_account: int = 8
    cancel_wait_s: float = 5.0
    quote_wait_s: float = 15.0
    unsent_s: float = 60.0
