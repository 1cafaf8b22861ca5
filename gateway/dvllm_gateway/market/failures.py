"""The library's errors as the core's."""

from collections.abc import Iterator
from contextlib import contextmanager

from decentralized_vllm.protocol.errors import (
    AbiMismatch,
    ChainUnavailable,
    ContentUnavailable,
    ContractRevert,
    StorageFull,
    TransactionFailed,
    WrongChain,
)
from dvllm_gateway.errors import NetworkUnavailable, NoCapacity, TransactionRejected


@contextmanager
def as_gateway_errors() -> Iterator[None]:
    """Raises NetworkUnavailable, NoCapacity (the disk is full) and TransactionRejected."""
    try:
        yield
    except (ChainUnavailable, WrongChain, AbiMismatch) as error:
        raise NetworkUnavailable("the chain does not answer") from error
    except ContentUnavailable as error:
        raise NetworkUnavailable("the content store does not answer") from error
    except StorageFull as error:
        raise NoCapacity("the content store is full") from error
    except ContractRevert as error:
        raise TransactionRejected(f"the contract refused it: {error.name}") from error
    except TransactionFailed as error:
        raise TransactionRejected("the transaction failed") from error
