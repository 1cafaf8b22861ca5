"""Every error the core raises at a caller. The type decides everything; a dialect only spells it.

GatewayError
├── RetryableGatewayError      the same call may succeed later
│   ├── RateLimited            `retry_after_s` tells when
│   ├── NoCapacity             no node takes the job now
│   ├── NetworkUnavailable     chain or content store do not answer
│   ├── SubscriberTooSlow      too many events wait to be read
│   └── TaskTimeout            waited long enough; the task goes on
└── PermanentGatewayError      the same call fails again
    ├── InvalidRequest         `field` names what is wrong, never its value
    │   ├── PayloadTooLarge
    │   ├── PromptTooLong      for the model
    │   ├── PromptRefused      by the model's engine, as its node says
    │   ├── UnsupportedMediaType
    │   └── MethodNotAllowed   `allowed` lists what is served
    ├── Unauthenticated
    ├── Forbidden
    │   └── InsufficientStake
    ├── InsufficientBalance    `required_wei`, `available_wei`, `balance_wei`
    ├── NotFound               also somebody else's object
    │   └── ModelNotFound
    ├── Conflict
    ├── TaskFailed             the job ended without an answer; nothing was charged
    ├── TransactionRejected    the chain refused a transaction
    └── InternalError          its text is for the log; a caller sees the request id
"""

from enum import StrEnum
from typing import ClassVar

from decentralized_vllm.protocol.ids import Wei


class Kind(StrEnum):
    """Names of the table in every dialect's error speller."""

    INVALID_REQUEST = "invalid_request"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    PROMPT_TOO_LONG = "prompt_too_long"
    PROMPT_REFUSED = "prompt_refused"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    INSUFFICIENT_STAKE = "insufficient_stake"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    MODEL_NOT_FOUND = "model_not_found"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    NO_CAPACITY = "no_capacity"
    NETWORK_UNAVAILABLE = "network_unavailable"
    TIMEOUT = "timeout"
    TASK_FAILED = "task_failed"
    TRANSACTION_FAILED = "transaction_failed"
    INTERNAL = "internal"


class GatewayError(Exception):
    """Root. `message` may be shown to the caller; `details` are more words or "".

    `task_created` says that a task exists although the call failed: a client must not send again.
    """

    kind: ClassVar[Kind]

    def __init__(
        self,
        message: str,
        *,
        details: str = "",
        field: str | None = None,
        retry_after_s: int | None = None,
        task_created: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.field = field
        self.retry_after_s = retry_after_s
        self.task_created = task_created


class RetryableGatewayError(GatewayError):
    """The same call may succeed later."""


class PermanentGatewayError(GatewayError):
    """The same call fails again until something else changes."""


class RateLimited(RetryableGatewayError):
    kind = Kind.RATE_LIMITED


class NoCapacity(RetryableGatewayError):
    kind = Kind.NO_CAPACITY


class NetworkUnavailable(RetryableGatewayError):
    kind = Kind.NETWORK_UNAVAILABLE


class SubscriberTooSlow(RetryableGatewayError):
    kind = Kind.RATE_LIMITED


class TaskTimeout(RetryableGatewayError):
    kind = Kind.TIMEOUT


class InvalidRequest(PermanentGatewayError):
    kind = Kind.INVALID_REQUEST


class PayloadTooLarge(InvalidRequest):
    kind = Kind.PAYLOAD_TOO_LARGE


class PromptTooLong(InvalidRequest):
    kind = Kind.PROMPT_TOO_LONG


class PromptRefused(InvalidRequest):
    kind = Kind.PROMPT_REFUSED


class UnsupportedMediaType(InvalidRequest):
    kind = Kind.UNSUPPORTED_MEDIA_TYPE


class MethodNotAllowed(InvalidRequest):
    kind = Kind.METHOD_NOT_ALLOWED

    def __init__(self, message: str, *, allowed: frozenset[str]) -> None:
        super().__init__(message)
        self.allowed = allowed


class Unauthenticated(PermanentGatewayError):
    kind = Kind.UNAUTHENTICATED


class Forbidden(PermanentGatewayError):
    kind = Kind.FORBIDDEN


class InsufficientStake(Forbidden):
    kind = Kind.INSUFFICIENT_STAKE


class InsufficientBalance(PermanentGatewayError):
    kind = Kind.INSUFFICIENT_BALANCE

    def __init__(
        self, message: str, *, required_wei: Wei, available_wei: Wei, balance_wei: Wei
    ) -> None:
        super().__init__(message)
        self.required_wei = required_wei
        self.available_wei = available_wei
        self.balance_wei = balance_wei


class NotFound(PermanentGatewayError):
    kind = Kind.NOT_FOUND


class ModelNotFound(NotFound):
    kind = Kind.MODEL_NOT_FOUND


class Conflict(PermanentGatewayError):
    kind = Kind.CONFLICT


class TaskFailed(PermanentGatewayError):
    kind = Kind.TASK_FAILED


class TransactionRejected(PermanentGatewayError):
    kind = Kind.TRANSACTION_FAILED


class InternalError(PermanentGatewayError):
    kind = Kind.INTERNAL
