"""The library's errors as the core's."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from decentralized_vllm.protocol.errors import (
    AbiMismatch,
    CeilingTooLow,
    ChainUnavailable,
    ContentError,
    ContentUnavailable,
    ContractRevert,
    DvllmError,
    EngineRefused,
    InsufficientFunds,
    InsufficientGas,
    InvalidPrompt,
    InvalidReceipt,
    InvalidResponse,
    KeyInUse,
    RetryableError,
    SettingError,
    StorageFull,
    TransactionFailed,
    UnknownJob,
    UnknownModel,
    WrongChain,
)
from dvllm_gateway.errors import (
    GatewayError,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    NetworkUnavailable,
    NoCapacity,
    TaskFailed,
    TransactionRejected,
)

log = logging.getLogger(__name__)


@contextmanager
def as_gateway_errors() -> Iterator[None]:
    """Around every call to the library: its errors leave as GatewayError and nothing else."""
    try:
        yield
    except DvllmError as error:
        raise gateway_error(error) from error


def gateway_error(error: DvllmError) -> GatewayError:
    """What a caller may know of it. What only the operator can mend is told in the log."""
    match error:
        case InsufficientGas() | InsufficientFunds():
            log.error("gateway_short_of_money", extra={"reason": str(error)})
            return NoCapacity("the gateway cannot pay for jobs now", retry_after_s=30)
        case StorageFull():
            log.error("gateway_disk_full", extra={"reason": str(error)})
            return NoCapacity("the gateway has no room left", retry_after_s=60)
        case KeyInUse():
            return NoCapacity("another process uses the gateway's key", retry_after_s=5)
        case ChainUnavailable() | WrongChain() | AbiMismatch() | UnknownJob():
            return NetworkUnavailable("the chain does not answer")
        case ContentUnavailable():
            return NetworkUnavailable("the content store does not answer")
        case RetryableError():
            return NetworkUnavailable("the network does not answer")
        case SettingError():
            log.error("gateway_misconfigured", extra={"reason": str(error)})
            return NetworkUnavailable("a part of the network answers wrongly")
    return _for_good(error)


def _for_good(error: DvllmError) -> GatewayError:
    match error:
        case UnknownModel():
            return ModelNotFound(error.message)
        case CeilingTooLow():
            return InvalidRequest(error.message, field="max_fee")
        case InvalidPrompt() | EngineRefused():
            field, _, _ = error.message.partition(":")
            return InvalidRequest(error.message, field=field if field.isidentifier() else None)
        case InvalidResponse() | InvalidReceipt() | ContentError():
            return TaskFailed("the node's answer is not valid", details=error.message)
        case ContractRevert():
            return TransactionRejected(f"the contract refused it: {error.name}")
        case TransactionFailed():
            return TransactionRejected("the transaction failed")
    return InternalError(str(error))
