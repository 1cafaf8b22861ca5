"""One HTTP session for content: every call has time limits and a size limit, none is redirected."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from decentralized_vllm.content.address_guard import PublicResolver, check_public_url
from decentralized_vllm.protocol.errors import ContentTooLarge, ContentUnavailable

_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpTimeouts:
    """Seconds. `total_s` is what ends a peer that drips a byte now and then."""

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 30.0

    def for_aiohttp(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=self.total_s,
            connect=self.connect_s,
            sock_connect=self.connect_s,
            sock_read=self.read_s,
        )


class TimedOut(ContentUnavailable):
    """Asking again at once would most likely cost the same time again."""


class Unanswered(TimedOut):
    """Not even the head of an answer came: whoever was asked may still be looking for it."""


class ContentHttp:
    """A lazily opened session. `public_only` refuses addresses that are not on the open internet.

    Once closed it stays closed: what still runs behind its owner's back opens nothing.
    """

    def __init__(self, timeouts: HttpTimeouts, *, public_only: bool, per_host: int = 16) -> None:
        self._timeouts = timeouts
        self._public_only = public_only
        self._per_host = per_host
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        total_s: float | None = None,
        silence_s: float | None = None,
        **options: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Raises ContentUnavailable for whatever goes wrong on the way.

        With `total_s` the answer may take that long, if it is never silent for `silence_s`.
        """
        if self._public_only:
            check_public_url(url)
        timeout = self._timeouts.for_aiohttp()
        if total_s is not None:
            timeout = aiohttp.ClientTimeout(
                total=total_s, sock_connect=timeout.sock_connect, sock_read=silence_s
            )
        silence: type[TimedOut] = Unanswered
        try:
            async with self._open().request(
                method, url, timeout=timeout, allow_redirects=False, **options
            ) as response:
                silence = TimedOut
                yield response
        except TimeoutError as error:
            raise silence(f"{_host(url)} did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ContentUnavailable(f"{_host(url)} cannot be read: {error}") from error

    async def close(self) -> None:
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise RuntimeError("content is asked for after its store was closed")
        if self._session is None:
            resolver = PublicResolver() if self._public_only else None
            connector = aiohttp.TCPConnector(
                limit=max(100, self._per_host), limit_per_host=self._per_host, resolver=resolver
            )
            # No cookies, no proxy variables, no credentials from ~/.netrc.
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        return self._session


async def read_limited(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Raises ContentTooLarge as soon as more than `max_bytes` have come or are announced."""
    if (response.content_length or 0) > max_bytes:
        raise ContentTooLarge(f"an answer of {response.content_length} bytes is over {max_bytes}")
    data = bytearray()
    async for piece in response.content.iter_chunked(_READ_BYTES):
        data += piece
        if len(data) > max_bytes:
            raise ContentTooLarge(f"an answer is longer than {max_bytes} bytes")
    return bytes(data)


def _host(url: str) -> str:
    """Scheme, host and port: a URL's rest may hold secrets."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"
