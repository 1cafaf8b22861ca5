"""The gateway's listeners over a built core: which API is on which port."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from aiohttp import web

from decentralized_vllm.content.server.guard import ConnectionCounter
from dvllm_gateway.http.admin import Readiness, admin_app
from dvllm_gateway.http.client_address import Network
from dvllm_gateway.http.cors import allow_origins
from dvllm_gateway.http.listeners import Listener
from dvllm_gateway.http.mounts import unified_app
from dvllm_gateway.http.operation import Dialect
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.http.routing import Service, dialect_app, socket_app
from dvllm_gateway.services.ports import Core
from dvllm_gateway.settings import GatewaySettings

# After the drain, for requests and streams to tell that the gateway stops.
LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a gateway listens, as URLs."""

    unified: str
    dvllm: str
    dvllm_ws: str
    admin: str


@dataclass(frozen=True, slots=True)
class Dialects:
    """All that are served; `dvllm` has ports of its own, and words what is no HTTP."""

    dvllm: Dialect
    others: Sequence[Dialect] = ()

    @property
    def all(self) -> tuple[Dialect, ...]:
        return (self.dvllm, *self.others)


@asynccontextmanager
async def administered(
    settings: GatewaySettings, options: HttpOptions, not_ready: Readiness
) -> AsyncIterator[str]:
    """The admin listener's URL. It stays while the others drain."""
    app = admin_app(options.metrics, not_ready)
    listen = settings.listen
    async with Listener(
        app,
        host=listen.admin_host,
        port=listen.admin_port,
        setting="listen.admin_port",
        host_setting="listen.admin_host",
        connections=ConnectionCounter(),
    ) as listener:
        yield listener.url


def _nothing() -> None:
    pass


class Serving:
    """Opens the public listeners; leaving `open` stops accepting, and lets requests end.

    `leave` is called when their time is up: whoever still waits is to be told so.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        core: Core,
        dialects: Dialects,
        options: HttpOptions,
        leave: Callable[[], None] = _nothing,
    ) -> None:
        self._settings = settings
        self._core = core
        self._dialects = dialects
        self._options = options
        self._leave = leave
        self._connections = ConnectionCounter(
            settings.http.connections_per_address, is_exempt=self._is_proxy
        )
        self._spell = Service(core, dialects.dvllm, options).door.spell

    @asynccontextmanager
    async def open(self, admin_url: str) -> AsyncIterator[Addresses]:
        """Raises SettingError for a port that is taken."""
        listen, core, options = self._settings.listen, self._core, self._options
        dvllm = self._dialects.dvllm
        unified = unified_app(
            core,
            self._dialects.all,
            options,
            default_dialect=self._settings.http.default_dialect,
        )
        listeners = [
            self._listener(app, port, setting)
            for app, port, setting in (
                (unified, listen.unified_port, "listen.unified_port"),
                (dialect_app(core, dvllm, options), listen.dvllm_port, "listen.dvllm_port"),
                (socket_app(core, dvllm, options), listen.dvllm_ws_port, "listen.dvllm_ws_port"),
            )
        ]
        try:
            for listener in listeners:
                await listener.start()
            urls = [listener.url for listener in listeners]
            yield Addresses(urls[0], urls[1], urls[2].replace("http", "ws", 1), admin_url)
        finally:
            await self._stop(listeners)

    async def _stop(self, listeners: Sequence[Listener]) -> None:
        """No port takes new requests while others still answer old ones."""
        loop, drain_s = asyncio.get_running_loop(), self._settings.tasks.drain_s
        over_s = loop.time() + drain_s
        for listener in listeners:
            listener.stop_accepting()
        for dialect in self._dialects.all:
            if dialect.socket is not None:
                dialect.socket.close_all()
        async with asyncio.TaskGroup() as group:
            stopping = [group.create_task(listener.stop()) for listener in listeners]
            await asyncio.wait(stopping, timeout=drain_s)
            await self._options.background.wait(max(0.0, over_s - loop.time()))
            self._leave()
            await self._options.background.drain(LAST_WORDS_S)

    def _listener(self, app: web.Application, port: int, setting: str) -> Listener:
        allow_origins(app, self._settings.http.cors_origins)
        return Listener(
            app,
            host=self._settings.listen.host,
            port=port,
            setting=setting,
            connections=self._connections,
            spell=self._spell,
            drain_s=self._settings.tasks.drain_s + LAST_WORDS_S,
        )

    def _is_proxy(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._options.trusted_proxies)


def trusted_proxies(settings: GatewaySettings) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in settings.http.trusted_proxies)


def own_origins(settings: GatewaySettings) -> tuple[str, ...]:
    """The names this gateway is called by: what is set, else those of the machine itself."""
    if settings.http.public_origins:
        return settings.http.public_origins
    listen = settings.listen
    ports = (listen.unified_port, listen.dvllm_port, listen.dvllm_ws_port)
    hosts = dict.fromkeys(("localhost", "127.0.0.1", "dvllm.localhost"))
    return tuple(f"http://{host}:{port}" for port in ports for host in hosts)
