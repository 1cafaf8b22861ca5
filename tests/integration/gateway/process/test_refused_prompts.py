"""Prompts that a real engine refuses: the caller's fault, told as such over HTTP, and free."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.anvil import running_anvil
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.known_nodes import node_is_known
from tests.support.task_network import fund_gateway
from tests.support.worker_network import MODEL_ID, worker_network

UNKNOWN_TOKEN = 50_000_000
ENGINE = {"kind": "transformers", "dtype": "float32", "slots": 4, "threads": 1}
START_PATIENCE_S = 240.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Caller:
    gateway: GatewayProcess
    http: aiohttp.ClientSession

    def complete(
        self, key: str, token_id: int = UNKNOWN_TOKEN, **more: Any
    ) -> "aiohttp.client._RequestContextManager":
        body = {"model": str(MODEL_ID), "prompt": [5, token_id], "max_tokens": 1, **more}
        url = f"{self.gateway.unified_url}/v1/completions"
        return self.http.post(url, json=body, headers={"Idempotency-Key": key})

    async def credit(self) -> Any:
        async with self.http.get(f"{self.gateway.dvllm_url}/api/credit") as reply:
            return await reply.json()

    async def newest_task(self) -> Any:
        """As its own page shows it."""
        async with self.http.get(f"{self.gateway.dvllm_url}/api/tasks") as reply:
            task_id = (await reply.json())["tasks"][0]["taskId"]
        async with self.http.get(f"{self.gateway.dvllm_url}/api/tasks/{task_id}") as reply:
            return await reply.json()

    async def restart(self) -> None:
        self.gateway.kill()
        self.gateway.start()
        await self.gateway.ready()
        await node_is_known(self.gateway)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def caller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    with running_anvil() as anvil:
        async with worker_network(anvil, tmp_path_factory.mktemp("net")) as net:
            await fund_gateway(net)
            with (
                net.worker(engine=ENGINE, node={"slots": 4}) as worker,
                gateway_process(net) as gateway,
            ):
                await net.enlist(worker, slots=4)
                worker.start()
                await worker.logged("on duty", patience_s=START_PATIENCE_S)
                gateway.start()
                await gateway.ready()
                await node_is_known(gateway)
                key = await gateway.make_key("caller", credit="50")
                headers = {"Authorization": f"Bearer {key}"}
                async with aiohttp.ClientSession(headers=headers) as http:
                    yield Caller(gateway, http)


def check(error: Any) -> None:
    assert (error["type"], error["code"]) == ("invalid_request_error", None)
    assert "a token id that it does not have" in error["message"]
    assert error["message"].endswith("; nothing was charged")


async def test_unknown_token__whole_answer__is_a_bad_request_and_free(caller: Caller) -> None:
    credit = await caller.credit()
    async with caller.complete("whole") as reply:
        assert reply.status == 400, await reply.text()
        assert reply.headers["x-should-retry"] == "false"
        check((await reply.json())["error"])
    task = await caller.newest_task()
    assert task["status"] == "failed"
    assert "a token id that it does not have" in task["error"]
    assert await caller.credit() == credit
    async with caller.complete("valid", 7) as reply:
        assert reply.status == 200, await reply.text()


async def test_unknown_token__stream_asked_for_after_a_restart__tells_it_as_before(
    caller: Caller,
) -> None:
    """Of a stream nothing but its task is kept, so that task's record must tell it."""
    async with caller.complete("streamed", stream=True) as reply:
        *_, last = (await reply.text()).strip().splitlines()
        check(json.loads(last.removeprefix("data: "))["error"])
    task = await caller.newest_task()
    await caller.restart()
    assert await caller.newest_task() == task
    async with caller.complete("streamed", stream=True) as reply:
        assert reply.status == 400, await reply.text()
        check((await reply.json())["error"])
    assert await caller.newest_task() == task
