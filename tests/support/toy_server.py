"""The toy dialect on a port of its own, over a core with what every API uses."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp

from decentralized_vllm.content.server.guard import ConnectionCounter
from dvllm_gateway.http.listeners import Listener
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.http.routing import Service, dialect_app
from dvllm_gateway.http.websocket import SocketServer
from dvllm_gateway.services.idempotency import StoredIdempotency
from dvllm_gateway.services.limits import RateLimits
from dvllm_gateway.services.ports import Core, Rate
from dvllm_gateway.services.principals import Scope
from dvllm_gateway.services.rate_memory import MemoryWindows
from dvllm_gateway.state import SqlIdempotencyStore, open_database
from tests.support.auth_parts import AuthParts
from tests.support.toy_dialect import ALICE, Toy, toy_dialect


@dataclass
class Served:
    url: str
    toy: Toy
    core: Core
    options: HttpOptions
    auth: AuthParts
    session: aiohttp.ClientSession
    key: str

    @property
    def own(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def ask(
        self, method: str, path: str, **more: Any
    ) -> tuple[int, Any, "aiohttp.typedefs.LooseHeaders"]:
        """Status, JSON (None without a body) and headers."""
        async with self.session.request(method, self.url + path, **more) as response:
            text = await response.read()
            return response.status, await response.json() if text else None, response.headers


@asynccontextmanager
async def toy_core(folder: Path, auth: AuthParts) -> AsyncIterator[Core]:
    """With what every API uses of a core, and nothing else."""
    nothing = cast("Any", None)
    async with open_database(folder / "toy.sqlite") as database:
        yield Core(
            tasks=nothing,
            models=nothing,
            network=nothing,
            resources=nothing,
            keys=auth.keys,
            auth=auth.auth,
            credit=nothing,
            limits=RateLimits(MemoryWindows()),
            events=nothing,
            idempotency=StoredIdempotency(SqlIdempotencyStore(database)),
        )


@asynccontextmanager
async def served_toy(
    folder: Path,
    *,
    rates: Mapping[str, Rate] | None = None,
    sockets_per_address: int = 10,
    ping_every_s: float = 20.0,
    head_timeout_s: float = 10.0,
    connections_per_address: int = 100,
    options: HttpOptions | None = None,
) -> AsyncIterator[Served]:
    """The toy on a free port, with a key of Alice's."""
    toy, auth, options = Toy(), AuthParts(), options or HttpOptions()
    socket = SocketServer(toy.converse, per_address=sockets_per_address, ping_every_s=ping_every_s)
    dialect = toy_dialect(toy, rates=rates, socket=socket)
    key = (await auth.keys.create(ALICE, frozenset({Scope.READ, Scope.INFER}))).secret
    async with (
        toy_core(folder, auth) as core,
        Listener(
            dialect_app(core, dialect, options),
            host="127.0.0.1",
            port=0,
            setting="listen.toy_port",
            connections=ConnectionCounter(connections_per_address),
            spell=Service(core, dialect, options).door.spell,
            head_timeout_s=head_timeout_s,
        ) as listener,
        aiohttp.ClientSession() as session,
    ):
        yield Served(listener.url, toy, core, options, auth, session, key)
