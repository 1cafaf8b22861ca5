"""What an operator decides about this dialect."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpenAiOptions:
    """`default_max_tokens` is of chats that state none; `sync_wait_s` how long an answer may take.

    `submit_wait_s`: how long a stream waits to be on chain before it sends its headers.
    """

    default_max_tokens: int = 1024
    sync_wait_s: float = 540.0
    submit_wait_s: float = 15.0
