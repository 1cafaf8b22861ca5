"""Every error of the library. The type alone decides whether trying again can help.

DvllmError
├── RetryableError                the same call may succeed later
│   ├── ChainUnavailable          RPC unreachable, timed out, rate-limited or behind
│   ├── ContentUnavailable        no source had the block in time
│   ├── EngineUnavailable         starting, crashed, hung or full
│   ├── NodesBusy                 nodes that do what the prompt needs have no room
│   ├── StorageBusy               database or store held by another process for now
│   └── WaitTimeout               a wait was given up; what was waited for goes on
└── PermanentError                the same call fails again
    ├── SettingError              a setting is wrong or missing; `setting` names it
    │   ├── WrongChain            the RPC serves another chain id
    │   ├── NoContract            there is no code at the address
    │   ├── AbiMismatch           the code at the address is not the one this library speaks to
    │   ├── KeyInUse              another process sends with this key, or holds this store
    │   └── MissingProgram        a program this machine lacks
    ├── InvalidAmount             not an amount of tokens
    ├── InvalidCid                not a CID of a supported kind
    ├── ContentError              bytes that must not be used
    │   ├── ContentMismatch       bytes do not hash to their CID
    │   ├── ContentTooLarge       over a stated limit
    │   ├── ContentMalformed      not the file, directory or block it should be
    │   └── UnsafeModel           a model directory with files that could run code or lie
    ├── InvalidDocument           prompt, response or receipt breaks its schema
    │   ├── InvalidPrompt
    │   ├── InvalidResponse
    │   └── InvalidReceipt
    ├── InvalidSignature          malformed, somebody else's, too old or seen before
    ├── EngineRefused             the engine rejects this request (unsupported, malformed)
    │   └── PromptTooLong         it has more tokens than the model's context
    ├── TransactionFailed         a transaction was mined and reverted, or can not be mined
    │   ├── ContractRevert        a custom error of the contracts; `name` and `args`
    │   └── InsufficientGas       the key can not pay for gas
    ├── InsufficientFunds         credit and wallet do not cover it, or max_top_up is lower
    ├── CeilingTooLow             the model's version costs more than the caller accepts
    ├── UnknownModel              no such model, or it is not active
    ├── UnknownJob                no such job
    ├── NotServed                 no node of the model does what the prompt needs
    ├── JobEnded                  the job ended without an answer; `refund_wei` went back
    │   ├── JobFailed             a node reported a content failure; `code`
    │   ├── JobExpired
    │   └── JobCancelled
    └── StorageFull               no space left on the disk
"""

from typing import Any


class DvllmError(Exception):
    """Root. `hint` is one sentence that tells a person what to change."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Exceptions are pickled by what their base was made of, which is too little here. Pools of
        processes break, or wait for ever, at an error that can not be read."""
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(
    kind: type[DvllmError], args: tuple[Any, ...], fields: dict[str, Any]
) -> DvllmError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class RetryableError(DvllmError):
    """The same call may succeed later."""


class PermanentError(DvllmError):
    """The same call fails again until something else changes."""


class ChainUnavailable(RetryableError):
    pass


class ContentUnavailable(RetryableError):
    pass


class EngineUnavailable(RetryableError):
    pass


class NodesBusy(RetryableError):
    pass


class StorageBusy(RetryableError):
    pass


class WaitTimeout(RetryableError, TimeoutError):
    pass


class SettingError(PermanentError):
    """`setting` is the name of the field, flag or variable to change."""

    def __init__(self, setting: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{setting}: {message}", hint=hint)
        self.setting = setting


class WrongChain(SettingError):
    pass


class NoContract(SettingError):
    pass


class AbiMismatch(SettingError):
    pass


class KeyInUse(SettingError):
    pass


class MissingProgram(SettingError):
    pass


class InvalidAmount(PermanentError):
    pass


class InvalidCid(PermanentError):
    pass


class ContentError(PermanentError):
    pass


class ContentMismatch(ContentError):
    pass


class ContentTooLarge(ContentError):
    pass


class ContentMalformed(ContentError):
    pass


class UnsafeModel(ContentError):
    pass


class InvalidDocument(PermanentError):
    pass


class InvalidPrompt(InvalidDocument):
    pass


class InvalidResponse(InvalidDocument):
    pass


class InvalidReceipt(InvalidDocument):
    pass


class InvalidSignature(PermanentError):
    pass


class EngineRefused(PermanentError):
    pass


class PromptTooLong(EngineRefused):
    pass


class TransactionFailed(PermanentError):
    pass


class ContractRevert(TransactionFailed):
    """A decoded custom error of the contracts."""

    def __init__(self, name: str, args: tuple[Any, ...] = (), *, hint: str | None = None) -> None:
        super().__init__(f"{name}({', '.join(map(str, args))})", hint=hint)
        self.name = name
        self.error_args = args


class InsufficientGas(TransactionFailed):
    pass


class InsufficientFunds(PermanentError):
    pass


class CeilingTooLow(PermanentError):
    pass


class UnknownModel(PermanentError):
    pass


class UnknownJob(PermanentError):
    pass


class NotServed(PermanentError):
    pass


class JobEnded(PermanentError):
    def __init__(self, message: str, *, refund_wei: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.refund_wei = refund_wei


class JobFailed(JobEnded):
    def __init__(self, message: str, *, refund_wei: int, code: str) -> None:
        super().__init__(message, refund_wei=refund_wei)
        self.code = code


class JobExpired(JobEnded):
    pass


class JobCancelled(JobEnded):
    pass


class StorageFull(PermanentError):
    pass
