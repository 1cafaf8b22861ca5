"""Which failure code an error deserves: who pays for it, and whether another node may try."""

from decentralized_vllm.protocol.errors import (
    ContentError,
    ContentMismatch,
    ContentTooLarge,
    ContentUnavailable,
    DvllmError,
    EngineRefused,
    EngineUnavailable,
    InvalidCid,
    InvalidDocument,
    InvalidReceipt,
    InvalidResponse,
    PermanentError,
    RetryableError,
)
from decentralized_vllm.protocol.jobs import FailureCode


class LeaseLost(PermanentError):
    """The contract says that this lease is not, or no longer, ours."""


class TooLate(RetryableError):
    """What is left of the lease does not suffice."""


class Draining(RetryableError):
    """The worker is stopping and hands back what it can not finish."""


def failure_code(error: DvllmError) -> FailureCode:
    """Content codes end the job at the requester's cost, so only proven faults of content get one.

    A source that lies (ContentMismatch) is no fault of the requester's: its prompt is missing.
    """
    match error:
        case InvalidResponse() | InvalidReceipt():  # what our own engine said can not be published
            return FailureCode.ENGINE_FAILED
        case ContentTooLarge():
            return FailureCode.CONTENT_TOO_LARGE
        case ContentUnavailable() | ContentMismatch():
            return FailureCode.CONTENT_MISSING
        case ContentError() | InvalidDocument() | InvalidCid() | EngineRefused():
            return FailureCode.CONTENT_INVALID
        case EngineUnavailable():
            return FailureCode.ENGINE_FAILED
        case _:
            return FailureCode.BUSY
