"""Bounds what a connection to any of our servers may cost before it sent a whole request head.

aiohttp waits for ever for the head of a connection's first request.
"""

import asyncio
import errno
from collections import Counter
from collections.abc import Callable
from typing import cast

from decentralized_vllm.protocol.errors import SettingError

HEAD_TIMEOUT_S = 10.0
CONNECTIONS_PER_HOST = 100
_HEAD_END = b"\r\n\r\n"


class ConnectionCounter:
    """`is_exempt` tells hosts that stand for many, as a reverse proxy does."""

    def __init__(
        self,
        per_host: int = CONNECTIONS_PER_HOST,
        *,
        is_exempt: Callable[[str], bool] | None = None,
    ) -> None:
        self._per_host = per_host
        self._is_exempt = is_exempt
        self._open: Counter[str] = Counter()

    def enter(self, host: str) -> bool:
        """False when this host has enough of them."""
        is_exempt = self._is_exempt is not None and self._is_exempt(host)
        if self._open[host] >= self._per_host and not is_exempt:
            return False
        self._open[host] += 1
        return True

    def leave(self, host: str) -> None:
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]


class GuardedConnection(asyncio.Protocol):
    """Stands before the server's own protocol and passes everything on."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        connections: ConnectionCounter,
        *,
        head_timeout_s: float = HEAD_TIMEOUT_S,
    ) -> None:
        self._inner = inner
        self._connections = connections
        self._head_timeout_s = head_timeout_s
        self._tail = b""
        self._deadline: asyncio.TimerHandle | None = None
        self._host: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        host = str((transport.get_extra_info("peername") or ("?",))[0])
        connection = cast(asyncio.Transport, transport)
        if self._connections.enter(host):
            self._host = host
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self._head_timeout_s, connection.abort)
            self._inner.connection_made(transport)
        else:
            connection.abort()

    def data_received(self, data: bytes) -> None:
        if self._host is None:
            return
        if self._deadline is not None:
            self._look_for_head(data)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._host is not None else None

    def connection_lost(self, error: Exception | None) -> None:
        if self._host is None:
            return
        self._stop_timer()
        self._connections.leave(self._host)
        self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _look_for_head(self, data: bytes) -> None:
        seen = self._tail + data
        if _HEAD_END in seen:
            self._stop_timer()
        self._tail = seen[-len(_HEAD_END) + 1 :]

    def _stop_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def guarded(
    factory: Callable[[], asyncio.Protocol],
    *,
    head_timeout_s: float = HEAD_TIMEOUT_S,
    connections: ConnectionCounter | None = None,
) -> Callable[[], GuardedConnection]:
    """A factory of guarded connections; several servers may share `connections`."""
    counter = connections or ConnectionCounter()
    return lambda: GuardedConnection(factory(), counter, head_timeout_s=head_timeout_s)


def cannot_listen(setting: str, host: str, port: int, error: OSError) -> SettingError:
    """Why a server of ours has no port, by the name of the setting that gave it."""
    is_taken = error.errno == errno.EADDRINUSE
    reason = "is taken by another program" if is_taken else f"cannot be used: {error.strerror}"
    return SettingError(setting, f"{host}:{port} {reason}", hint="choose another port")
