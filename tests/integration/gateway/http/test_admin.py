"""What operators and balancers see."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from decentralized_vllm.content.server.guard import ConnectionCounter
from dvllm_gateway.http.admin import admin_app
from dvllm_gateway.http.listeners import Listener
from dvllm_gateway.http.metrics import Answered, new_metrics


class Readiness:
    reason: str | None = None

    async def __call__(self) -> str | None:
        return self.reason


@pytest.fixture
async def admin() -> AsyncIterator[tuple[str, Readiness]]:
    readiness, metrics = Readiness(), new_metrics()
    metrics.count(Answered("dvllm", "getStatus", 200, 0.01, 0.002, "r", "127.0.0.1"))
    async with Listener(
        admin_app(metrics, readiness),
        host="127.0.0.1",
        port=0,
        setting="listen.admin_port",
        connections=ConnectionCounter(),
    ) as listener:
        yield listener.url, readiness


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_metrics__are_prometheus_text(admin: tuple[str, Readiness]) -> None:
    status, text = await get(admin[0] + "/metrics")

    assert status == 200
    line = 'dvllm_gateway_requests_total{dialect="dvllm",operation="getStatus",status="200"} 1.0'
    assert line in text


async def test_health__is_that_of_the_process_alone(admin: tuple[str, Readiness]) -> None:
    admin[1].reason = "the chain does not answer"

    assert (await get(admin[0] + "/healthz"))[0] == 200


async def test_readiness__tells_why_not(admin: tuple[str, Readiness]) -> None:
    assert (await get(admin[0] + "/readyz"))[0] == 200
    admin[1].reason = "stopping"
    status, text = await get(admin[0] + "/readyz")

    assert status == 503
    assert "stopping" in text
