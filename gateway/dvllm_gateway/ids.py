"""Ids of the gateway's own things. A task is one ULID, whatever prefix a dialect shows it with."""

import re
from typing import NewType

from eth_utils.address import is_checksum_address, to_checksum_address
from ulid import ULID

from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.errors import InvalidRequest, NotFound

TaskId = NewType("TaskId", str)
AccountId = NewType("AccountId", str)
KeyId = NewType("KeyId", str)

TASK_PREFIXES = ("task_", "inf_", "chatcmpl-", "cmpl-")

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_ACCOUNT_NAME = re.compile(r"(?!0x)[a-z0-9][a-z0-9._-]{0,63}")


def account_of(wallet: Address) -> AccountId:
    return AccountId(wallet.lower())


def wallet_of(account: AccountId) -> Address | None:
    """None for an account that an operator named."""
    return Address(to_checksum_address(account)) if _ADDRESS.fullmatch(account) else None


def read_account_id(text: str) -> AccountId:
    """A wallet's address, or a name an operator gives. Raises InvalidRequest."""
    if _ACCOUNT_NAME.fullmatch(text):
        return AccountId(text)
    if _ADDRESS.fullmatch(text):
        return account_of(read_address(text))
    raise InvalidRequest("an account is an address, or a name like team-7.ci", field="account")


def read_address(text: str) -> Address:
    """In one case, or with a right EIP-55 checksum. Raises InvalidRequest."""
    in_one_case = text[2:] in (text[2:].lower(), text[2:].upper())
    if not _ADDRESS.fullmatch(text) or not (in_one_case or is_checksum_address(text)):
        raise InvalidRequest("not an address, or one with a mistyped digit", field="address")
    return Address(to_checksum_address(text))


def new_task_id() -> TaskId:
    """Sortable by the time of its making."""
    return TaskId(str(ULID()))


def task_id_after(first: TaskId, n: int) -> TaskId:
    """The n-th after it, for tasks that are one request's."""
    return TaskId(str(ULID.from_int(int(ULID.from_str(first)) + n)))


def first_task_id_at(at_ms: int) -> TaskId:
    """No task made before that time has a larger one, none made later a smaller one."""
    return TaskId(str(ULID.from_int(at_ms << 80)))


def read_task_id(text: str) -> TaskId:
    """With or without any dialect's prefix. Raises NotFound: no task has a malformed id."""
    bare = text
    for prefix in TASK_PREFIXES:
        bare = bare.removeprefix(prefix)
    bare = bare.upper()
    if not _ULID.fullmatch(bare):
        raise NotFound("there is no such task")
    return TaskId(bare)
