"""Puts the node's routes on its one port."""

import asyncio
from types import TracebackType
from typing import Self

from aiohttp import web

from decentralized_vllm.content.server.guard import (
    CONNECTIONS_PER_HOST,
    HEAD_TIMEOUT_S,
    ConnectionCounter,
    guarded,
)
from decentralized_vllm.content.server.leavers import let_leave
from decentralized_vllm.content.server.places import Place
from dvllm_worker.http.blocks import BlockDoor
from dvllm_worker.http.events import EventStream
from dvllm_worker.http.orders import OrderDoor
from dvllm_worker.http.resources import ResourceDoor
from dvllm_worker.http.resume import ResumeDoor
from dvllm_worker.http.status import StatusPage

IDLE_TIMEOUT_S = 60.0
SHUTDOWN_S = 5.0


def worker_app(
    reads: list[web.RouteDef],
    blocks: BlockDoor,
    events: EventStream,
    status: StatusPage,
    resources: ResourceDoor,
    resume: ResumeDoor,
    orders: OrderDoor,
) -> web.Application:
    """`reads` are the routes of `/ipfs/` over the node's own store."""
    app = web.Application(middlewares=[let_leave])
    app.add_routes(reads)
    app.router.add_post("/jobs/{job_id}/blocks", blocks.post)
    app.router.add_get("/jobs/events", events.get_all, allow_head=False)
    app.router.add_get("/jobs/{job_id}/events", events.get, allow_head=False)
    app.on_shutdown.append(events.dismiss)
    app.router.add_get("/status", status.get)
    app.router.add_get("/resources", resources.get)
    app.router.add_post("/resources", resources.post)
    app.router.add_post("/resume", resume.post)
    app.add_routes(orders.routes())
    return app


class Listener:
    """An async context manager. Port 0 takes a free one, which `port` then tells."""

    def __init__(
        self,
        app: web.Application,
        *,
        host: str,
        port: int,
        head_timeout_s: float = HEAD_TIMEOUT_S,
        connections_per_host: int = CONNECTIONS_PER_HOST,
    ) -> None:
        self._connections = ConnectionCounter(connections_per_host)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=IDLE_TIMEOUT_S,
            max_field_size=16 * 1024,
            shutdown_timeout=SHUTDOWN_S,
            handler_cancellation=True,
        )
        self._host = host
        self._port = port
        self._head_timeout_s = head_timeout_s
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        return self._port

    async def __aenter__(self) -> Self:
        """Raises SettingError: the port is taken or not allowed, or the host is none of ours."""
        await self._runner.setup()
        inner = self._runner.server
        assert inner is not None
        loop = asyncio.get_running_loop()
        try:
            protocols = guarded(
                inner, head_timeout_s=self._head_timeout_s, connections=self._connections
            )
            self._server = await loop.create_server(protocols, self._host, self._port)
        except (OSError, UnicodeError) as error:
            await self._runner.cleanup()
            place = Place(self._host, "http.host", self._port, "http.port")
            raise place.refusal(error) from error
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
