"""The operator's own node over HTTP: its resources, read by anyone, changed by signed requests."""

import secrets
import time

import aiohttp
from eth_account.signers.base import BaseAccount
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json
from yarl import URL

from decentralized_vllm.content.http_client import ContentHttp, HttpTimeouts, read_limited
from decentralized_vllm.protocol.errors import ContentTooLarge, ContentUnavailable
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from dvllm_gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    NetworkUnavailable,
    NoCapacity,
)
from dvllm_gateway.ids import read_address
from dvllm_gateway.services.resources import Allocation, Resources, Shares

MAX_ANSWER_BYTES = 64 * 1024
MAX_STATUS_BYTES = 256 * 1024
TIMEOUTS = HttpTimeouts(connect_s=2.0, read_s=5.0, total_s=5.0)
PATH = "/resources"
STATUS_PATH = "/status"

_ABOVE_LIMITS = 422
_UNTRUSTED = (401, 403)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    allocation: Shares
    usage: Shares
    limits: Shares
    machine: Shares


class _Status(BaseModel):
    model_config = ConfigDict(extra="ignore")

    node: str


class Reading:
    """The port NodeReading."""

    def __init__(self, answer: _Answer) -> None:
        self.resources = Resources(answer.allocation, answer.usage, answer.limits)
        self.machine = answer.machine


class WorkerDoor:
    """The port NodeDoor at `node_url`, which the operator names; `account` is the gateway's key.

    Close it with `close()`.
    """

    def __init__(self, node_url: str, account: BaseAccount) -> None:
        base = URL(node_url)
        self._url = str(base / PATH[1:])
        self._status_url = str(base / STATUS_PATH[1:])
        self._target = (base / PATH[1:]).raw_path
        self._authority = base.host_port_subcomponent or ""  # as the Host header: no default port
        self._account = account
        self._http = ContentHttp(TIMEOUTS, public_only=False)

    async def read(self) -> Reading:
        return await self._ask("GET", b"")

    async def change(self, wish: Allocation) -> Reading:
        shares = {
            name: value
            for name in ("cpu", "memory", "gpu", "storage")
            if (value := getattr(wish, name)) is not None
        }
        return await self._ask("POST", to_json(shares))

    async def operator(self) -> Address:
        """Who the node works for, as it says. Raises NetworkUnavailable."""
        try:
            async with self._http.request("GET", self._status_url) as response:
                data = await read_limited(response, MAX_STATUS_BYTES)
            return read_address(_Status.model_validate_json(data).node)
        except (ContentUnavailable, ContentTooLarge) as error:
            raise NetworkUnavailable("the operator's node does not answer") from error
        except (ValidationError, InvalidRequest) as error:
            raise NetworkUnavailable("node_url answers, but not as a node") from error

    async def close(self) -> None:
        await self._http.close()

    async def _ask(self, method: str, body: bytes) -> Reading:
        headers = {"Content-Type": "application/json", **self._signed(method, body)}
        try:
            async with self._http.request(
                method, self._url, data=body or None, headers=headers if body else None
            ) as response:
                return await _reading(response)
        except (ContentUnavailable, ContentTooLarge) as error:
            raise NetworkUnavailable("the operator's node does not answer") from error

    def _signed(self, method: str, body: bytes) -> dict[str, str]:
        request = HttpRequest(self._authority, method, self._target, body_digest(body))
        return signed_headers(
            request, self._account, timestamp_s=int(time.time()), nonce=secrets.token_urlsafe(24)
        )


async def _reading(response: aiohttp.ClientResponse) -> Reading:
    data = await read_limited(response, MAX_ANSWER_BYTES)
    if response.status != 200:
        raise _refusal(response.status, data)
    try:
        return Reading(_Answer.model_validate_json(data))
    except ValidationError as error:
        raise NetworkUnavailable("node_url answers, but not as a node") from error


class _Refusal(BaseModel):
    error: str


def _refusal(status: int, data: bytes) -> GatewayError:
    try:
        said = _Refusal.model_validate_json(data).error
    except ValidationError:
        said = f"the operator's node answers {status}"
    if status == _ABOVE_LIMITS:
        return NoCapacity(said)
    if status in _UNTRUSTED:
        return Forbidden("the operator's node does not take this gateway's word", details=said)
    return NetworkUnavailable(said) if status >= 500 else InvalidRequest(said)
