"""Puts an application on a port: guarded, drained at the end, and clear about a taken one."""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from ulid import ULID

from decentralized_vllm.content.server.guard import (
    HEAD_TIMEOUT_S,
    ConnectionCounter,
    guarded,
)
from decentralized_vllm.content.server.places import Place
from dvllm_gateway.errors import GatewayError, InternalError, InvalidRequest
from dvllm_gateway.http.door import DOOR_OF
from dvllm_gateway.http.masks import MaskWatch
from dvllm_gateway.http.replies import response
from dvllm_gateway.http.visit import REQUEST_ID, SERVER_NAME
from dvllm_gateway.services.ports import StoredReply

log = logging.getLogger(__name__)

IDLE_TIMEOUT_S = 60.0
MAX_HEADER_BYTES = 16 * 1024
MAX_HEADERS = 64
LINGERING_S = 2.0  # for the rest of a body that nobody reads

Speller = Callable[[GatewayError, str], StoredReply]


class Listener:
    """`stop` stops accepting, and lets requests end for `drain_s`.

    Port 0 takes a free one, which `port` then tells. `setting` and `host_setting` name port and
    host in errors. `spell` words the refusal of what is no HTTP at all.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        host: str,
        port: int,
        setting: str,
        host_setting: str = "listen.host",
        connections: ConnectionCounter,
        spell: Speller | None = None,
        drain_s: float = 0.0,
        head_timeout_s: float = HEAD_TIMEOUT_S,
    ) -> None:
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=drain_s, handler_cancellation=True
        )
        self._place = Place(host, host_setting, port, setting)
        self._port = port
        self._connections = connections
        self._spell = spell
        self._head_timeout_s = head_timeout_s
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"http://{self._place.host}:{self._port}"

    async def start(self) -> None:
        """Raises SettingError: the port is taken or not allowed, or the host is none of ours."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        protocols = guarded(
            self._new_connection,
            head_timeout_s=self._head_timeout_s,
            connections=self._connections,
        )
        try:
            self._server = await loop.create_server(protocols, self._place.host, self._port)
        except (OSError, UnicodeError) as error:  # the latter for a host that can be no name
            await self._runner.cleanup()
            raise self._place.refusal(error) from error
        self._port = self._server.sockets[0].getsockname()[1]

    def stop_accepting(self) -> None:
        if self._server is not None:
            self._server.close()

    async def stop(self) -> None:
        self.stop_accepting()
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        """Raises SettingError."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _new_connection(self) -> web.RequestHandler:
        manager = self._runner.server
        assert manager is not None
        return _Connection(
            manager,
            self._spell,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=IDLE_TIMEOUT_S,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=LINGERING_S,
            auto_decompress=False,  # what is counted must be what comes in
        )


class _Connection(web.RequestHandler):
    """Spells also what aiohttp answers by itself, before there is a request or in spite of it."""

    def __init__(self, manager: Any, spell: Speller | None, **options: Any) -> None:
        super().__init__(manager, **options)
        self._spell = spell
        self._masks: MaskWatch | None = None

    def watch_masks(self, on_bare: Callable[[], None]) -> None:
        self._masks = MaskWatch(on_bare)

    def data_received(self, data: bytes) -> None:
        if self._masks is None or self._masks.lets_through(data):
            super().data_received(data)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """An `Expect` that is not served is refused where no middleware sees it."""
        if isinstance(resp, web.HTTPExpectationFailed) and isinstance(request, web.Request):
            resp = await _spelled(request, resp)
        return await super().finish_response(request, resp, start_time)

    async def shutdown(self, timeout: float | None = None) -> None:
        """aiohttp would wait for `timeout` twice: the second time for a handler that it has only
        kept from reading on."""
        try:
            async with asyncio.timeout(timeout):
                await super().shutdown(None)
        except TimeoutError:
            self.force_close()  # and so cancels its handler

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionAbortedError("a reply broke off") from exc
        request_id = str(ULID())
        if status >= 500:
            extra = {"request_id": request_id}
            log.error("a request failed outside of its API", exc_info=exc, extra=extra)
        if self._spell is None:
            reply = web.Response(status=status)
        else:
            reply = response(self._spell(_error_of(status), request_id))
        reply.headers[REQUEST_ID] = request_id
        reply.headers["Server"] = SERVER_NAME
        reply.force_close()
        return reply


async def _spelled(request: web.Request, refusal: web.HTTPException) -> web.StreamResponse:
    """As the API would whose path it is; ports that serve none have no words of their own."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        raise refusal

    door_of = request.match_info.apps[-1].get(DOOR_OF)
    return refusal if door_of is None else await door_of(request).answer(request, refuse)


def _error_of(status: int) -> GatewayError:
    if status >= 500:
        return InternalError("internal error")
    return InvalidRequest("this is not HTTP/1.1 that can be answered")
