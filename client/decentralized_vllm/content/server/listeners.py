"""Runs the two doors of a store on their ports."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from decentralized_vllm.content.server.gateway import gateway_app
from decentralized_vllm.content.server.guard import cannot_listen
from decentralized_vllm.content.server.rpc import rpc_app
from decentralized_vllm.content.store import PinningStore

_LOOPBACK = "127.0.0.1"
_SHUTDOWN_S = 5.0


class Listener:
    """One application on one port; port 0 takes a free one. `setting` names the port in errors."""

    def __init__(
        self, app: web.Application, port: int, *, setting: str, host: str = _LOOPBACK
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._setting = setting
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Raises SettingError (port taken or not allowed)."""
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise cannot_listen(self._setting, self._host, self._port, error) from error
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


class ContentServer:
    """`async with ContentServer(store, api_port=5001, gateway_port=8081) as server:`

    The RPC listens on loopback only: whoever reaches it can write. Port 0 takes a free port; then
    `api_url` and `gateway_url` tell which. `settings` are the ports' names in errors. It neither
    opens nor closes the store.
    """

    def __init__(
        self,
        store: PinningStore,
        *,
        api_port: int = 5001,
        gateway_port: int = 8081,
        gateway_host: str = _LOOPBACK,
        allowed_origins: Sequence[str] = (),
        settings: tuple[str, str] = ("api_port", "gateway_port"),
    ) -> None:
        api = rpc_app(store, allowed_origins=allowed_origins)
        self._api = Listener(api, api_port, setting=settings[0])
        self._gateway = Listener(
            gateway_app(store), gateway_port, setting=settings[1], host=gateway_host
        )

    @property
    def api_url(self) -> str:
        return self._api.url

    @property
    def gateway_url(self) -> str:
        return self._gateway.url

    async def start(self) -> None:
        """Raises SettingError, naming the port that is taken."""
        await self._api.start()
        try:
            await self._gateway.start()
        except BaseException:
            await self._api.stop()
            raise

    async def stop(self) -> None:
        await self._gateway.stop()
        await self._api.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
