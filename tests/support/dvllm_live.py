"""The documented API as a whole: a gateway process before a chain, a store and a worker."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from tests.support.anvil import Anvil
from tests.support.gateway_process import GATEWAY_KEY, GatewayProcess, gateway_process
from tests.support.task_network import fund_gateway
from tests.support.worker_network import WorkerNetwork, worker_network
from tests.support.worker_process import WorkerProcess

OPERATOR = "operator"  # the account that may have the scope node
PATIENCE_S = 180.0
LOOK_EVERY_S = 0.2

Answer = tuple[int, Any]


@dataclass
class Live:
    net: WorkerNetwork
    worker: WorkerProcess
    gateway: GatewayProcess
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        url = self.gateway.dvllm_url + path
        async with self.session.request(method, url, **options) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def get(self, path: str, key: str | None = None) -> Answer:
        return await self.call("GET", path, headers=bearer(key))

    async def post(self, path: str, body: Any, key: str | None = None) -> Answer:
        return await self.call("POST", path, json=body, headers=bearer(key))

    def signed(
        self, account: LocalAccount, method: str, path: str, digest: str | None = None
    ) -> dict[str, str]:
        """The headers of a wallet's own request."""
        authority = urlsplit(self.gateway.dvllm_url).netloc
        request = HttpRequest(authority, method, path, digest or body_digest(b""))
        headers = signed_headers(
            request, account, timestamp_s=int(time.time()), nonce=secrets.token_urlsafe(16)
        )
        return {**headers, "X-Content-Digest": digest} if digest else headers

    async def until(
        self, ask: Callable[[], Awaitable[Answer]], holds: Callable[[Any], bool], what: str
    ) -> Any:
        """The body, once it is as wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                status, body = await ask()
                if status == 200 and holds(body):
                    return body
                await asyncio.sleep(LOOK_EVERY_S)

    async def slots_on_chain(self, wanted: int) -> None:
        registry = self.net.network.node_registry
        async with asyncio.timeout(PATIENCE_S):
            while (await registry.node(self.worker.address)).profile.slots != wanted:  # noqa: ASYNC110 - the chain tells nothing by itself
                await asyncio.sleep(LOOK_EVERY_S)


def bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def live_network(
    anvil: Anvil, folder: Path, *, key: LocalAccount = GATEWAY_KEY
) -> AsyncIterator[Live]:
    """`key` is the gateway's, which may allot the worker's resources."""
    async with worker_network(anvil, folder) as net, aiohttp.ClientSession() as session:
        if key is GATEWAY_KEY:
            await fund_gateway(net)
        with net.worker(node={"slots": 64, "managers": [key.address]}) as worker:
            await net.enlist(worker)
            worker.start()
            await worker.on_duty()
            changes = {"node": {"node_url": worker.url}, "auth": {"operators": [OPERATOR]}}
            with gateway_process(net, key=key, **changes) as gateway:
                gateway.start()
                await gateway.ready()
                yield Live(net, worker, gateway, session)
