"""How long a gateway takes to stop while its callers still wait, and what these are told."""

import asyncio
import json

import aiohttp

from tests.support.gateway_process import gateway_process
from tests.support.worker_network import MODEL_ID, WorkerNetwork

DRAIN_S = 15.0  # long beside what a busy machine takes for the rest, and shorter than an answer
SLOW = {"n_tokens": 40, "token_interval_s": 1.0}
CHAT = {
    "model": MODEL_ID,
    "messages": [{"role": "user", "content": "Say it slowly, and to nobody else."}],
    "max_tokens": 40,
}


async def test_drain__of_streams_that_do_not_end__takes_its_time_once_and_tells_them(
    net: WorkerNetwork,
) -> None:
    with (
        net.worker(**{"engine.null": SLOW}) as worker,
        gateway_process(net, tasks={"drain_s": DRAIN_S}) as gateway,
    ):
        await net.enlist(worker)
        worker.start()
        gateway.start()
        await asyncio.gather(worker.on_duty(), gateway.ready())
        key = await gateway.make_key("alice", credit="50")
        url = f"{gateway.unified_url}/v1/chat/completions"
        headers = {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(url, json={**CHAT, "stream": True}) as streaming:
                assert b'"content":' in await streaming.content.readuntil(b"\n\n")
                whole = asyncio.create_task(session.post(url, json=CHAT))
                keyed = asyncio.create_task(
                    session.post(url, json=CHAT, headers={"Idempotency-Key": "again"})
                )
                await gateway.has_open_tasks(3)
                gateway.terminate()
                assert await gateway.ended(patience_s=1.7 * DRAIN_S) == 0

                frames = (await streaming.content.read()).decode().strip().split("\n\n")
                error = json.loads(frames[-1].removeprefix("data: "))["error"]
                assert "this gateway stops" in error["message"]
                for refused in (await whole, await keyed):
                    assert refused.status == 502
                    assert "this gateway stops" in (await refused.json())["error"]["message"]

            gateway.start()
            await gateway.ready()
            again = {"Idempotency-Key": "again"}
            async with session.post(url, json=CHAT, headers=again) as answered:
                assert answered.status == 200
        assert await net.network.coordinator.job_count() == 3
