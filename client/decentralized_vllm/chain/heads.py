"""New-block hints over a websocket. A hint wakes, and says where to look: what happened is always
read by getLogs, and checked there.
"""

import asyncio
import logging
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ValidationError

from decentralized_vllm.chain.rpc import jittered_backoff_s
from decentralized_vllm.protocol.errors import SettingError

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
HEARTBEAT_S = 10.0  # a connection whose pings go unanswered is dropped, not trusted

_SUBSCRIBE = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}


class _Head(BaseModel):
    number: str


class _Params(BaseModel):
    result: _Head


class _Notification(BaseModel):
    params: _Params


class HeadHints:
    """Tells waiters that there may be a new block. Without `run()` or `ws_url`, they just poll.

    Raises SettingError for what is no URL of a websocket.
    """

    def __init__(self, ws_url: str | None = None) -> None:
        if ws_url and not _is_websocket(ws_url):
            raise SettingError("ws_url", "is not a ws(s) URL")  # not shown: it may hold a secret
        self._ws_url = ws_url or None
        self._count = 0
        self._head: int | None = None
        self._next = asyncio.Event()

    @property
    def head(self) -> int | None:
        """The block of the last hint: anybody's word, until it is read. None if none was named."""
        return self._head

    @property
    def count(self) -> int:
        """Hints so far; pass it to `wait` so that none between reading and waiting is missed."""
        return self._count

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Returns when there were more than `seen` hints, or after `timeout_s`."""
        if self._count > seen:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._next.wait()
        except TimeoutError:
            pass

    async def run(self) -> None:
        """Listens until cancelled, and connects again whenever the connection is lost."""
        if self._ws_url is None:
            return
        failures = 0
        while True:
            seen = self._count
            try:
                await self._listen(self._ws_url)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.info("head_hints_lost", extra={"reason": type(error).__name__})
            failures = 1 if self._count > seen else failures + 1
            await asyncio.sleep(jittered_backoff_s(0.2, failures))

    async def _listen(self, ws_url: str) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.ws_connect(ws_url, heartbeat=HEARTBEAT_S) as socket,
        ):
            await socket.send_json(_SUBSCRIBE)
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                self.note(_head_in(message.data))

    def note(self, head: int | None) -> None:
        """There may be a new block, this one if it was named."""
        self._count += 1
        self._head = head
        self._next.set()
        self._next = asyncio.Event()


def _is_websocket(url: str) -> bool:
    """Those of http(s) are asked to change to one."""
    try:
        parts = urlsplit(url)
        is_there = bool(parts.hostname) and parts.port != 0
    except ValueError:  # an address or a port that can be none
        return False
    return is_there and parts.scheme in ("ws", "wss", "http", "https")


def _head_in(message: str) -> int | None:
    """None for the answer to the subscription, and for what nobody should say."""
    try:
        return int(_Notification.model_validate_json(message).params.result.number, 16)
    except (ValidationError, ValueError):
        return None
