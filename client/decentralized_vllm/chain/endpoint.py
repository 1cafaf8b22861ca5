"""JSON-RPC to one endpoint, one try: hard limits, kept-alive connections, errors told apart."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from pydantic_core import from_json

from decentralized_vllm.chain.answer_shapes import is_sound
from decentralized_vllm.chain.rpc_errors import RpcError, rpc_error
from decentralized_vllm.protocol.errors import ChainUnavailable, SettingError

MAX_ANSWER_BYTES = 64 << 20
CONNECT_TIMEOUT_S = 5.0
HURRIED_TIMEOUT_S = 2.0
MAX_CONNECTIONS = 32
BATCHES_AGAIN_S = 60.0  # what refused one may just have been in trouble, or be another node now

Json: TypeAlias = Any
Request: TypeAlias = tuple[str, Sequence[Json]]


class Endpoint:
    """One HTTP endpoint. Raises ChainUnavailable (transport faults) and RpcError (answered ones).

    `name` is its host: paths and queries of hosted endpoints are secrets.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.name = _host_of(url)
        self._url = url
        self._timeout_s = timeout_s
        self._is_hurried: Callable[[], bool] = lambda: False
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._no_batches_until_s = 0.0
        # None twice, nor as another process's: a proxy may give one the answer to another.
        self._ids = itertools.count(random.getrandbits(48))

    def hurry_while(self, is_hurried: Callable[[], bool]) -> None:
        """Each request is given less time as long as that holds."""
        self._is_hurried = is_hurried

    async def close(self) -> None:
        """For good: what still runs behind its owner's back must not open another session."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, *params: Json) -> Json:
        outcome = await self._outcome(method, params)
        if isinstance(outcome, RpcError):
            raise outcome
        return outcome

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        """Results in the order of the requests; an answered error stands in its place.

        One round trip, or one after the other to an endpoint that takes no batches.
        """
        if len(requests) < 2 or time.monotonic() < self._no_batches_until_s:
            return await self._one_by_one(requests)
        body = [_request_object(next(self._ids), *request) for request in requests]
        answers = await self._post(body)
        if isinstance(answers, dict):
            return await self._without_batch(answers, requests)
        by_id = _by_id(answers)
        if by_id.keys() != {asked["id"] for asked in body}:
            raise ChainUnavailable(f"{self.name} left out answers of a batch")
        return [_result_or_error(by_id[o["id"]], o["method"], self.name) for o in body]

    async def _without_batch(
        self, refusal: Json, requests: Sequence[Request]
    ) -> list[Json | RpcError]:
        error = rpc_error(refusal.get("error", "a batch was answered with one object"))
        if error.is_rate_limit:
            raise error
        self._no_batches_until_s = time.monotonic() + BATCHES_AGAIN_S
        return await self._one_by_one(requests)

    async def _one_by_one(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        return [await self._outcome(*request) for request in requests]

    async def _outcome(self, method: str, params: Sequence[Json]) -> Json | RpcError:
        number = next(self._ids)
        answer = await self._post(_request_object(number, method, params))
        if isinstance(answer, dict) and not _is_answer_to(number, answer):
            raise ChainUnavailable(f"{self.name} answered another request")
        return _result_or_error(answer, method, self.name)

    async def _post(self, body: Json) -> Json:
        try:
            asking = self._open_session().post(self._url, json=body, timeout=self._timeout())
            async with asking as response:
                return _json(await _read(response), self.name, response.status)
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            raise ChainUnavailable(f"{self.name}: {_describe(error)}") from error

    def _timeout(self) -> aiohttp.ClientTimeout:
        hurried_s = min(self._timeout_s, HURRIED_TIMEOUT_S)
        total_s = hurried_s if self._is_hurried() else self._timeout_s
        return aiohttp.ClientTimeout(total=total_s, connect=CONNECT_TIMEOUT_S)

    def _open_session(self) -> aiohttp.ClientSession:
        """Opened at first use: a session belongs to the loop that runs it."""
        if self._is_closed:
            raise RuntimeError(f"{self.name} is called after its Rpc was closed")
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session


def _host_of(url: str) -> str:
    """Raises SettingError, which does not show the URL."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # an address or a port that can be none
        is_usable = False
    if not is_usable:
        raise SettingError("eth_node_url", "is not an http(s) URL")
    return parts.netloc.rpartition("@")[2]


def _request_object(number: int, method: str, params: Sequence[Json]) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def _by_id(answers: Sequence[Json]) -> dict[int, Json]:
    ids = ((a.get("id"), a) for a in answers if isinstance(a, dict))
    return {number: a for number, a in ids if isinstance(number, int)}


def _is_answer_to(number: int, answer: Json) -> bool:
    """An error may come without an id: what was wrong may have been to read one."""
    return answer.get("id") == number or ("error" in answer and answer.get("id") is None)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 18):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ChainUnavailable(f"an RPC answer is over {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _json(body: bytes, name: str, status: int) -> Json:
    """Some nodes put a JSON-RPC error under an HTTP error status; others mean a fault by it."""
    try:
        answer = from_json(body)
    except ValueError:
        answer = None
    is_error_object = isinstance(answer, dict) and "error" in answer
    if answer is None or (status != 200 and not is_error_object):
        reason = f"HTTP {status}" if status != 200 else "not JSON"
        raise ChainUnavailable(f"{name} answered {reason}")
    if status in (429, 503):
        raise RpcError(429, f"HTTP {status}")
    return answer


def _result_or_error(answer: Json, method: str, name: str) -> Json | RpcError:
    if not isinstance(answer, dict):
        raise ChainUnavailable(f"{name} did not answer with a JSON-RPC object")
    if answer.get("error") is not None:
        return rpc_error(answer["error"])
    if "result" not in answer:
        raise ChainUnavailable(f"{name} answered without a result")
    if not is_sound(method, answer["result"]):
        raise ChainUnavailable(f"{name} answered {method} with something else")
    return answer["result"]


def _describe(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return type(error).__name__ if not str(error) else str(error)
