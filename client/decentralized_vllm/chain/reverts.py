"""What a reverted call returned, as the typed error it stands for."""

from collections.abc import Callable
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from decentralized_vllm.chain.codec import CONTRACT_NAMES, contract_abi
from decentralized_vllm.protocol.errors import (
    AbiMismatch,
    CeilingTooLow,
    ContractRevert,
    InsufficientFunds,
    PermanentError,
    TransactionFailed,
    UnknownJob,
    UnknownModel,
)
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.units import format_tokens

ERROR_STRING = bytes.fromhex("08c379a0")  # Error(string)
PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)


def revert_error(data: bytes | None, *, call: str) -> PermanentError:
    """The typed error of a revert of `call` (a label for people).

    UnknownModel, UnknownJob, CeilingTooLow or InsufficientFunds where one says it, otherwise
    ContractRevert, or TransactionFailed for a revert that names no error of our contracts.
    """
    if not data:
        return TransactionFailed(f"{call} reverted without a reason")
    named = _custom_error(data)
    if named is None:
        return TransactionFailed(f"{call} reverted: {_plain_reason(data)}")
    name, arguments = named
    typed = _TYPED.get(name)
    return typed(call, arguments) if typed else _plain_revert(name, arguments)


def _plain_revert(name: str, arguments: tuple[Any, ...]) -> ContractRevert:
    hint = _HINTS.get(name)
    return ContractRevert(name, arguments, hint=hint(arguments) if hint else None)


def _custom_error(data: bytes) -> tuple[str, tuple[Any, ...]] | None:
    for contract in CONTRACT_NAMES:
        error = contract_abi(contract).errors.get(data[:4])
        if error is not None:
            try:
                return error.name, error.decode(data[4:])
            except AbiMismatch:
                return None
    return None


def _plain_reason(data: bytes) -> str:
    try:
        if data[:4] == ERROR_STRING:
            return str(decode(["string"], data[4:])[0])[:200]
        if data[:4] == PANIC:
            return f"panic 0x{decode(['uint256'], data[4:])[0]:02x}"
    except (DecodingError, UnicodeDecodeError, OverflowError):  # a length of 2^256 is hostile
        pass
    return f"0x{data[:36].hex()}"


def _unknown_model(call: str, _: tuple[Any, ...]) -> PermanentError:
    return UnknownModel(f"{call}: no such model", hint="list the models that are offered")


def _inactive_model(call: str, _: tuple[Any, ...]) -> PermanentError:
    return UnknownModel(f"{call}: the model takes no new jobs")


def _unknown_job(call: str, arguments: tuple[Any, ...]) -> PermanentError:
    return UnknownJob(f"{call}: there is no job {arguments[0]}")


def _short_credit(call: str, arguments: tuple[Any, ...]) -> PermanentError:
    available, required = (format_tokens(amount) for amount in arguments)
    return InsufficientFunds(
        f"{call}: credit is {available} tokens and {required} are needed", hint="deposit first"
    )


def _short_wallet(call: str, arguments: tuple[Any, ...]) -> PermanentError:
    _, balance, needed = arguments
    return InsufficientFunds(
        f"{call}: the wallet holds {format_tokens(balance)} tokens, {format_tokens(needed)} needed"
    )


def _dear_version(call: str, arguments: tuple[Any, ...]) -> PermanentError:
    max_fee, ceiling = (format_tokens(amount) for amount in arguments)
    return CeilingTooLow(
        f"{call}: a job of this model costs up to {max_fee} tokens, accepted are {ceiling}"
    )


def _told_status(arguments: tuple[Any, ...]) -> str:
    try:
        return f"the job is {JobStatus(arguments[0]).name.lower()}"
    except ValueError:
        return "the job is in another state than this takes"


# What a requester can run into, in words.
_HINTS: dict[str, Callable[[tuple[Any, ...]], str]] = {
    "WrongStatus": _told_status,
    "NotRequester": lambda _: "the job is another account's",
    "AmountIsZero": lambda _: "give an amount above 0",
    "NewWorkIsPaused": lambda _: "the network's owner has paused new jobs; try later",
}

_TYPED: dict[str, Callable[[str, tuple[Any, ...]], PermanentError]] = {
    "UnknownModel": _unknown_model,
    "ModelUnknown": _unknown_model,
    "ModelInactive": _inactive_model,
    "UnknownJob": _unknown_job,
    "InsufficientCredit": _short_credit,
    "CeilingExceeded": _dear_version,
    "ERC20InsufficientBalance": _short_wallet,
}
