"""The dialect on a real port, over a core without a network."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from dvllm_gateway.dialects.dvllm.operations import RATES, DvllmOptions, dvllm_dialect
from dvllm_gateway.dialects.dvllm.websocket import DvllmSockets
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.http.routing import SOCKET_PATH, dialect_app
from dvllm_gateway.services.durations import Durations
from dvllm_gateway.services.principals import Scope
from dvllm_gateway.services.uploads import Uploads
from tests.support.gateway_in_memory.core import MemoryCore
from tests.support.gateway_in_memory.facts import ASKER, OTHER

MAX_UPLOAD_BYTES = 1 << 20


@dataclass
class Api:
    """`key` is the asker's, `other_key` somebody else's, `operator_key` has the scope node."""

    memory: MemoryCore
    url: str
    session: aiohttp.ClientSession
    uploads_root: Path
    durations: Durations
    key: str
    other_key: str
    operator_key: str

    async def call(
        self, method: str, path: str, *, key: str | None = None, **options: Any
    ) -> tuple[int, Any, dict[str, str]]:
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        async with self.session.request(
            method, self.url + path, headers=headers, **options
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None, dict(answer.headers)

    async def get(self, path: str, *, key: str | None = None) -> tuple[int, Any]:
        status, body, _ = await self.call("GET", path, key=key)
        return status, body

    async def post(self, path: str, body: Any, *, key: str | None = None) -> tuple[int, Any]:
        status, answer, _ = await self.call("POST", path, key=key, json=body)
        return status, answer


@asynccontextmanager
async def running_api(folder: Path) -> AsyncIterator[Api]:
    memory = MemoryCore()
    core, durations = memory.core, Durations()
    root = folder / "uploads"
    uploads = Uploads(root, max_bytes=MAX_UPLOAD_BYTES, spare_bytes=0)
    uploads.clean()
    sockets = DvllmSockets(core, RATES["status"])
    options = DvllmOptions(
        uploads, durations, socket=sockets.server, submit_wait_s=0.1, top_ups=memory.top_ups
    )
    app = dialect_app(core, dvllm_dialect(options), HttpOptions(), socket_paths=("/", SOCKET_PATH))
    running = [asyncio.create_task(loop()) for loop in (sockets.run, sockets.recheck)]
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Api(
            memory=memory,
            url=str(server.make_url("")).rstrip("/"),
            session=session,
            uploads_root=root,
            durations=durations,
            key=memory.keys.give("asker", ASKER, Scope.READ, Scope.INFER),
            other_key=memory.keys.give("other", OTHER, Scope.READ, Scope.INFER, Scope.WALLET),
            operator_key=memory.keys.give("operator", ASKER, *(set(Scope) - {Scope.OWNER})),
        )
        sockets.server.close_all()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
