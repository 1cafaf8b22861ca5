"""The worker that runs with the same settings, asked over its own listener."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from eth_account.signers.local import LocalAccount
from pydantic_core import from_json
from yarl import URL

from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    ContractRevert,
    DvllmError,
    EngineUnavailable,
    InsufficientFunds,
    InsufficientGas,
    RetryableError,
    SettingError,
    TransactionFailed,
    UnknownModel,
)
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from dvllm_worker.duty import NotReady
from dvllm_worker.office.orders import Order
from dvllm_worker.settings import HttpSection

STATUS_TIMEOUT_S = 3.0
ASKED_TIMEOUT_S = 240.0  # the answer comes when the chain has confirmed it
_AGAIN = "try again when the worker listens, or stop it"

# What it may say of an order, as the command says it when it sends for itself.
_REFUSALS: Mapping[str, type[DvllmError]] = {
    each.__name__: each
    for each in (
        ChainUnavailable,
        EngineUnavailable,
        InsufficientFunds,
        InsufficientGas,
        NotReady,
        TransactionFailed,
        UnknownModel,
    )
}


class NotAsked(RetryableError):
    """The running worker does not do what it was asked for."""


async def status_of_process(http: HttpSection, node: Address) -> dict[str, Any] | None:
    """None where no worker of this node answers: the port may be another node's or program's."""
    timeout = aiohttp.ClientTimeout(total=STATUS_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(_listener(http) / "status") as response,
        ):
            status = _object_of(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    is_own = str(status.get("node")).lower() == node.lower() and "uptime_s" in status
    return status if is_own else None


async def ask_to_resume(http: HttpSection, account: LocalAccount) -> bool:
    """Whether that was needed. Raises NotAsked."""
    asking = _Asking(
        http,
        account,
        while_unsure="`worker status` tells when the node is no longer suspended",
        otherwise=f"{_AGAIN} and run `worker start --resume`",
    )
    status, told = await asking.posted("resume", b"")
    if status != 200:
        raise NotAsked(
            f"the running worker does not resume: {told.get('error', status)}",
            hint="or stop it and run `worker start --resume`",
        )
    return bool(told.get("resumed"))


async def ask_to_do(order: Order, http: HttpSection, account: LocalAccount) -> dict[str, Any]:
    """What the command prints. Raises as the offices of the worker do, and NotAsked."""
    asking = _Asking(
        http,
        account,
        while_unsure="look at `worker status` before you try again",
        otherwise=_AGAIN,
    )
    path = order.path.removeprefix("/")
    status, told = await asking.posted(path, order.model_dump_json().encode())
    if status == 200:
        return told
    raise _refusal(told) or NotAsked(
        f"the running worker does not {path}: {told.get('error', status)}", hint=_AGAIN
    )


def _refusal(told: Mapping[str, Any]) -> DvllmError | None:
    """None for what is no word on the order."""
    kind, message, hint = (told.get(each) for each in ("kind", "error", "hint"))
    if kind == ContractRevert.__name__:
        name, _, arguments = str(message).removesuffix(")").partition("(")
        return ContractRevert(name, tuple(filter(None, arguments.split(", "))), hint=hint)
    if kind == SettingError.__name__:
        setting, _, trouble = str(message).partition(": ")
        return SettingError(setting, trouble, hint=hint)
    known = _REFUSALS.get(str(kind))
    return None if known is None else known(str(message), hint=hint)


@dataclass(frozen=True, slots=True)
class _Asking:
    """A request signed by the node's own key. The texts are hints for when there is no answer."""

    http: HttpSection
    account: LocalAccount
    while_unsure: str
    otherwise: str

    async def posted(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the reply. Raises NotAsked."""
        url = _listener(self.http) / path
        timeout = aiohttp.ClientTimeout(total=ASKED_TIMEOUT_S)
        headers = _signed_post(url, self.account, body)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=body, headers=headers) as response,
            ):
                return response.status, _object_of(await response.read())
        except TimeoutError:
            raise NotAsked(
                "the running worker was asked, and the chain has not confirmed it yet",
                hint=self.while_unsure,
            ) from None
        except (aiohttp.ClientError, ValueError) as error:
            sender = self.account.address
            raise NotAsked(
                f"another process sends with {sender}, and no worker answers at {url}",
                hint=self.otherwise,
            ) from error


def _object_of(body: bytes) -> dict[str, Any]:
    """Raises ValueError for what no worker says."""
    told = from_json(body)
    if not isinstance(told, dict):
        raise ValueError("no JSON object")
    return told


def _signed_post(url: URL, account: LocalAccount, body: bytes) -> dict[str, str]:
    request = HttpRequest(url.authority, "POST", url.raw_path_qs, body_digest(body))
    return signed_headers(
        request, account, timestamp_s=int(time.time()), nonce=os.urandom(16).hex()
    )


def _listener(http: HttpSection) -> URL:
    return URL.build(scheme="http", host=http.host, port=http.port)
