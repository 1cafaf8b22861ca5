"""Reads per second and core, and whether memory stays flat over 100,000 of them."""

import asyncio

from tests.bench.figures import Figure, at_least, at_most, show
from tests.bench.gateway.load import closed_loop, get, session
from tests.bench.gateway.stand import MODEL, Stand, open_stand

N_READS = 10_000
N_MANY = 70_000  # with the others, a hundred thousand
N_AT_ONCE = 64
MB = 10**6


async def finished_task(stand: Stand) -> str:
    body = {"prompt": "Tell me of leases", "modelId": MODEL, "maxTokens": 8}
    async with session(stand.headers) as opened, asyncio.timeout(60):
        async with opened.post(f"{stand.dvllm_url}/api/tasks/submit", json=body) as answer:
            task_id = (await answer.json())["taskId"]
        url = f"{stand.dvllm_url}/api/tasks/{task_id}"
        while True:
            async with opened.get(url) as answer:
                if (await answer.json())["status"] == "completed":
                    return url
            await asyncio.sleep(0.2)


async def per_core(stand: Stand, url: str, n_reads: int) -> float:
    async with session(stand.headers) as opened:
        await closed_loop(get(opened, url), n_calls=500, n_at_once=N_AT_ONCE)
        before_s = stand.cpu_s()
        await closed_loop(get(opened, url), n_calls=n_reads, n_at_once=N_AT_ONCE)
        return n_reads / (stand.cpu_s() - before_s)


async def measure() -> list[Figure]:
    async with open_stand() as stand:
        task_url = await finished_task(stand)
        status = await per_core(stand, f"{stand.dvllm_url}/api/status", N_READS)
        models = await per_core(stand, f"{stand.dvllm_url}/api/models", N_READS)
        task = await per_core(stand, task_url, N_READS)
        before = stand.rss_bytes()
        await per_core(stand, task_url, N_MANY)
        growth = (stand.rss_bytes() - before) / MB
    return [
        Figure("status_per_core", status, "/s", at_least(3000)),
        Figure("models_per_core", models, "/s", at_least(3000)),
        Figure("task_per_core", task, "/s", at_least(3000)),
        Figure("rss_growth_mb", growth, "MB", at_most(10)),
    ]


if __name__ == "__main__":
    show("Reads, by the processor time the gateway spends", asyncio.run(measure()))
