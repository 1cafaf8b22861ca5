"""Jobs per second through chain and store: one worker, an engine that costs nothing.

From the head of the block with the first request to the head of the block with the last delivery;
blocks come every second. Then the memory of the worker's process, which holds no engine.
"""

import asyncio

import psutil

from tests.bench.figures import Figure, at_least, at_most, show
from tests.bench.heads import following_heads
from tests.bench.market import Market, open_market

BLOCK_S = 1.0  # the heads tell when a delivery came: asking oftener only takes time from it
N_JOBS = 600
MB = 10**6


async def jobs_per_second(market: Market) -> float:
    prompts = await market.publish_prompts(N_JOBS, max_tokens=8)
    async with following_heads(market.network.plan.ws_url) as heads:
        first = await market.submit(prompts)
        done = await market.deliveries(first, N_JOBS, ask_every_s=BLOCK_S)
    last = max(event.position.block_number for event in done)
    return N_JOBS / (heads.seen_at[last] - heads.seen_at[first])


async def measure() -> tuple[float, float]:
    async with open_market({"kind": "null"}, slots=N_JOBS) as market:
        rate = await jobs_per_second(market)
        memory = psutil.Process(market.worker_pid).memory_info().rss
    return rate, memory / MB


def main() -> None:
    rate, memory_mb = asyncio.run(measure())
    show(
        f"Throughput ({N_JOBS} jobs, null engine, one worker)",
        [
            Figure("jobs_per_second", rate, "/s", at_least(50)),
            Figure("worker_rss_mb", memory_mb, "MB", at_most(150)),
        ],
    )


if __name__ == "__main__":
    main()
