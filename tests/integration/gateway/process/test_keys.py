"""Idempotency keys on a real gateway: one job, one payment, however often one asks."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest

from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.worker_network import MODEL_ID, WorkerNetwork
from tests.support.worker_process import WorkerProcess

PROMPT = "Count the sheep until you are told to stop."
PATIENCE_S = 180.0
ANSWER_WAIT_S = 1.0
SLOW = {"first_token_s": 4.0}  # longer than a call waits


class Caller:
    """An account's requests, each with a key."""

    def __init__(self, gateway: GatewayProcess, session: aiohttp.ClientSession, key: str) -> None:
        self._gateway = gateway
        self._session = session
        self._own = {"Authorization": f"Bearer {key}"}

    def chat(self, key: str, **more: Any) -> "aiohttp.client._RequestContextManager":
        body = {
            "model": MODEL_ID,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": 8,
            **more,
        }
        return self._session.post(
            f"{self._gateway.unified_url}/v1/chat/completions",
            json=body,
            headers={**self._own, "Idempotency-Key": key},
        )

    async def answer(self, key: str) -> dict[str, Any]:
        """As a patient client does it: a key that is in use is asked for again."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self.chat(key) as response:
                    if response.status == 200:
                        return dict(await response.json())
                    assert response.status in (409, 503), await response.text()
                    await asyncio.sleep(float(response.headers["Retry-After"]))

    async def refusals(self, key: str) -> list[int]:
        """The statuses until there is an answer, as of a client that asks until there is one."""
        seen = []
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self.chat(key) as response:
                    if response.status == 200:
                        return seen
                    seen.append(response.status)

    async def status(self, key: str) -> int:
        """Of a call that not every node can answer."""
        async with self.chat(key, logprobs=True) as response:
            await asyncio.sleep(float(response.headers.get("Retry-After", 0)))
            return response.status

    async def until_served(self) -> None:
        """A gateway that holds its key has still to open its market with it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self._session.get(f"{self._gateway.admin_url}/readyz") as response:
                    if response.status == 200:
                        return
                await asyncio.sleep(0.1)

    async def charged_wei(self, key: str) -> int:
        """What the credit is less by, once the newest task is over."""
        before_wei = await self.credit_wei()
        assert set(await self.refusals(key)) == {504}
        await self.task(lambda task: task["status"] == "completed")
        return before_wei - await self.credit_wei()

    async def tasks(self) -> list[dict[str, Any]]:
        url = f"{self._gateway.dvllm_url}/api/tasks"
        async with self._session.get(url, headers=self._own) as response:
            return list((await response.json())["tasks"])

    async def task(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The newest one, once that holds of it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                tasks = await self.tasks()
                if tasks and holds(tasks[0]):
                    return tasks[0]
                await asyncio.sleep(0.1)

    async def credit_wei(self) -> int:
        url = f"{self._gateway.dvllm_url}/api/credit"
        async with self._session.get(url, headers=self._own) as response:
            return int((await response.json())["availableWei"])

    async def streamed(self, key: str) -> str:
        """The text of a whole stream."""
        async with self.chat(key, stream=True) as response:
            assert response.status == 200, await response.text()
            return text_of((await response.read()).decode())


def text_of(stream: str) -> str:
    assert stream.rstrip().endswith("data: [DONE]")
    frames = [line.removeprefix("data: ") for line in stream.splitlines() if line[:6] == "data: "]
    chunks = [json.loads(frame) for frame in frames[:-1]]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def late(net: WorkerNetwork) -> AsyncIterator[WorkerProcess]:
    """A node that may be given jobs, and does none of them before it is started."""
    with net.worker() as worker:
        await net.enlist(worker)
        yield worker


@asynccontextmanager
async def too_slow(net: WorkerNetwork) -> AsyncIterator[tuple[GatewayProcess, WorkerProcess]]:
    """A gateway that waits for no answer as long as its only node takes."""
    with (
        net.worker(**{"engine.null": SLOW}) as worker,
        gateway_process(net, tasks={"answer_wait_s": ANSWER_WAIT_S}) as gateway,
    ):
        await net.enlist(worker)
        worker.start()
        gateway.start()
        await asyncio.gather(worker.on_duty(), gateway.ready())
        yield gateway, worker


async def test_key__gateway_killed_in_the_middle__is_answered_by_the_same_job(
    gateway: GatewayProcess, late: WorkerProcess, session: aiohttp.ClientSession
) -> None:
    caller = Caller(gateway, session, await gateway.make_key("alice", credit="50"))
    asking = asyncio.create_task(caller.answer("k1"))
    before = await caller.task(lambda task: task["jobId"] is not None)
    gateway.kill()
    late.start()  # at once: the job's lease is shorter than a dead gateway's hold on its key
    with suppress(aiohttp.ClientError):
        await asking
    gateway.start()
    await gateway.ready()
    answer = await caller.answer("k1")
    again = await caller.answer("k1")

    assert answer["choices"][0]["message"]["content"]
    assert answer == again
    (task,) = await caller.tasks()
    assert (task["taskId"], task["jobId"]) == (before["taskId"], before["jobId"])


async def test_key__of_a_stream__is_streamed_again_and_paid_once(
    gateway: GatewayProcess, worker: WorkerProcess, session: aiohttp.ClientSession
) -> None:
    caller = Caller(gateway, session, await gateway.make_key("alice", credit="50"))
    both = await asyncio.gather(caller.streamed("k1"), caller.streamed("k1"))
    await caller.task(lambda task: task["status"] == "completed")
    paid_wei = await caller.credit_wei()
    later = await caller.streamed("k1")

    assert later
    assert both == [later, later]
    assert len(await caller.tasks()) == 1
    assert await caller.credit_wei() == paid_wei


async def test_key__of_a_stream_broken_off__gets_the_whole_answer_of_that_job(
    gateway: GatewayProcess, late: WorkerProcess, session: aiohttp.ClientSession
) -> None:
    caller = Caller(gateway, session, await gateway.make_key("alice", credit="50"))
    async with caller.chat("k1", stream=True) as response:
        await response.content.readuntil(b"\n\n")
        response.close()
    late.start()

    assert await caller.streamed("k1")
    assert len(await caller.tasks()) == 1


async def test_key__of_a_call_that_waited_in_vain__gets_the_answer_of_its_one_job_later(
    net: WorkerNetwork, session: aiohttp.ClientSession
) -> None:
    async with too_slow(net) as (gateway, _):
        caller = Caller(gateway, session, await gateway.make_key("alice", credit="50"))
        charged_wei = await caller.charged_wei("k1")

        assert await net.network.coordinator.job_count() == len(await caller.tasks()) == 1
        assert await caller.answer("k1") == await caller.answer("k1")
        assert charged_wei == await caller.charged_wei("k2") > 0
        assert await net.network.coordinator.job_count() == len(await caller.tasks()) == 2


async def test_key__of_an_answer_whose_node_is_gone__gets_it_all_the_same(
    net: WorkerNetwork, session: aiohttp.ClientSession
) -> None:
    async with too_slow(net) as (gateway, worker):
        caller = Caller(gateway, session, await gateway.make_key("alice", credit="50"))
        async with asyncio.timeout(PATIENCE_S):
            while (status := await caller.status("k1")) != 504:  # until the node was heard of
                assert status == 503
        await caller.task(lambda task: task["status"] == "completed")
        worker.kill()
        gateway.kill()
        gateway.start()
        await gateway.ready()
        await caller.until_served()

        assert await caller.status("k1") == 200
        assert await net.network.coordinator.job_count() == 1
