"""Verified reads from peers and public gateways, in the order they are listed."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from decentralized_vllm.content.budget import MAX_BLOCK_BYTES
from decentralized_vllm.content.cid import ParsedCid, parse_cid
from decentralized_vllm.content.http_client import (
    ContentHttp,
    HttpTimeouts,
    TimedOut,
    Unanswered,
    read_limited,
)
from decentralized_vllm.content.reads import ContentReads, VerifyingReads
from decentralized_vllm.content.sources import Absent, first_block
from decentralized_vllm.protocol.errors import ContentError, ContentUnavailable
from decentralized_vllm.protocol.ids import Cid

_ABSENT = (404, 410, 451)  # not here, not any more, not to be had
_STILL_LOOKING = 504  # a gateway's own limit for asking its network is over
_RETRY_S = 0.2
_RAW_BLOCK = {"Accept": "application/vnd.ipld.raw"}
# The empty block, whose CID holds its bytes: by the gateways' specification what to probe with.
# One that takes no such CIDs refuses it, which is an answer too.
_EMPTY_BLOCK = "bafkqaaa"
_SIGNS_OF_LIFE = (200, 400, *_ABSENT)
_PROBE_S = 5.0


class GatewaySource(VerifyingReads):
    """One trustless gateway: `GET {url}/ipfs/CID?format=raw`.

    After a failure it is left alone for `pause_s`, so that a dead peer costs one timeout and not
    one per block. Not having a block is no failure; an answer that takes more than `slow_s` is
    used, and then counts as one.
    """

    def __init__(
        self,
        url: str,
        http: ContentHttp,
        *,
        pause_s: float = 10.0,
        slow_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = http
        self._pause_s = pause_s
        self._slow_s = slow_s
        self._clock = clock
        self._resting_until_s = clock()

    @property
    def is_resting(self) -> bool:
        return self._clock() < self._resting_until_s

    async def _load_block(self, cid: ParsedCid) -> bytes:
        asked_s = self._clock()
        try:
            return await self._fetch_twice(cid)
        except Absent:
            raise
        except (ContentUnavailable, ContentError):
            self._rest()
            raise
        finally:
            if self._clock() - asked_s > self._slow_s:
                self._rest()

    async def _fetch_twice(self, cid: ParsedCid) -> bytes:
        """A cut connection or a busy moment is asked again once; silence and absence are not."""
        try:
            return await self._fetch(cid)
        except (Absent, TimedOut):
            raise
        except ContentUnavailable:
            await asyncio.sleep(_RETRY_S)
            return await self._fetch(cid)

    async def _fetch(self, cid: ParsedCid) -> bytes:
        async with self._http.request("GET", self._block_url(cid), headers=_RAW_BLOCK) as response:
            if response.status == 200:
                return await read_limited(response, MAX_BLOCK_BYTES)
            status = response.status
        raise _kind_of(status)(f"{self.url} answered {status}")

    async def answers(self) -> bool:
        """Whether it works, whatever it has."""
        url = f"{self.url}/ipfs/{_EMPTY_BLOCK}?format=raw"
        try:
            async with self._http.request(
                "GET", url, total_s=_PROBE_S, headers=_RAW_BLOCK
            ) as response:
                return response.status in _SIGNS_OF_LIFE
        except ContentUnavailable:
            return False

    async def _block_is_bad(self, cid: ParsedCid) -> None:
        self._rest()

    async def has_block(self, cid: Cid) -> bool:
        """False also when the gateway can't be asked."""
        try:
            async with self._http.request("HEAD", self._block_url(parse_cid(cid))) as response:
                return response.status == 200
        except ContentUnavailable:
            return False

    def _block_url(self, cid: ParsedCid) -> str:
        return f"{self.url}/ipfs/{cid.as_v1().text()}?format=raw"

    def _rest(self) -> None:
        self._resting_until_s = self._clock() + self._pause_s


def _kind_of(status: int) -> type[ContentUnavailable]:
    if status in _ABSENT:
        return Absent
    return Unanswered if status == _STILL_LOOKING else ContentUnavailable


class GatewayStore(ContentReads):
    """`GatewayStore(urls, timeouts=HttpTimeouts(), public_only=True)`; `await close()` at the end.

    `urls` are bases such as `http://127.0.0.1:8081`, tried in order; those resting after a failure
    come last. `public_only=False` is for loopback and private networks.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeouts: HttpTimeouts | None = None,
        public_only: bool = True,
        pause_s: float = 10.0,
        slow_s: float = math.inf,
    ) -> None:
        self._http = ContentHttp(timeouts or HttpTimeouts(), public_only=public_only)
        self.sources = [
            GatewaySource(url, self._http, pause_s=pause_s, slow_s=slow_s) for url in urls
        ]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.close()

    async def get_block(self, cid: Cid) -> bytes:
        return await _read_resting_last(self.sources, cid)

    async def has_block(self, cid: Cid) -> bool:
        for source in self.sources:
            if await source.has_block(cid):
                return True
        return False

    async def answers(self) -> bool:
        """Whether any of them works, whatever it has; all are asked at once."""
        return any(await asyncio.gather(*(source.answers() for source in self.sources)))

    async def urls_with(self, cid: Cid) -> list[str]:
        """Those that say they have the block, in order; all are asked at once."""
        answers = await asyncio.gather(*(source.has_block(cid) for source in self.sources))
        return [source.url for source, has in zip(self.sources, answers, strict=True) if has]


class GatewayChain(ContentReads):
    """Several GatewayStores as one list: whoever rests comes after all others of all of them.

    It closes none of them.
    """

    def __init__(self, stores: Sequence[GatewayStore]) -> None:
        self._stores = stores

    async def get_block(self, cid: Cid) -> bytes:
        sources = [source for store in self._stores for source in store.sources]
        return await _read_resting_last(sources, cid)

    async def has_block(self, cid: Cid) -> bool:
        for store in self._stores:
            if await store.has_block(cid):
                return True
        return False


async def _read_resting_last(sources: Sequence[GatewaySource], cid: Cid) -> bytes:
    in_order = sorted(sources, key=lambda source: source.is_resting)
    _, block = await first_block(in_order, cid)
    return block
