"""What idle WebSockets weigh, and how soon one event reaches a thousand subscribers."""

import asyncio
import time
from contextlib import AsyncExitStack

import aiohttp

from tests.bench.figures import Figure, at_most, percentile, show
from tests.bench.gateway.load import session
from tests.bench.gateway.stand import MODEL, Stand, open_stand

N_IDLE = 5000
N_SUBSCRIBERS = 1000
N_EVENTS = 10
MB = 10**6


async def arrivals(socket: aiohttp.ClientWebSocketResponse, seen: list[float]) -> None:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT and '"task_submitted"' in message.data:
            seen.append(time.perf_counter())


async def idle_rss_bytes(stand: Stand) -> int:
    async with session() as opened, AsyncExitStack() as stack:
        for _ in range(N_IDLE):
            await stack.enter_async_context(opened.ws_connect(stand.dvllm_ws_url))
        await asyncio.sleep(3)
        return stand.rss_bytes()


async def fan_out_s(stand: Stand) -> list[float]:
    """For each event, the seconds between its first and each of its subscribers."""
    seen: list[list[float]] = [[] for _ in range(N_SUBSCRIBERS)]
    async with session() as opened, AsyncExitStack() as stack:
        readers = []
        for each in seen:
            socket = await stack.enter_async_context(opened.ws_connect(stand.dvllm_ws_url))
            readers.append(asyncio.create_task(arrivals(socket, each)))
        await cause_events(stand)
        await asyncio.sleep(2)
        for reader in readers:
            reader.cancel()
    if any(len(each) < N_EVENTS for each in seen):
        raise RuntimeError("a subscriber missed an event")
    per_event = [[each[number] for each in seen] for number in range(N_EVENTS)]
    return [at - min(times) for times in per_event for at in times]


async def cause_events(stand: Stand) -> None:
    body = {"prompt": "Tell me of leases", "modelId": MODEL, "maxTokens": 8}
    async with session(stand.headers) as opened:
        for _ in range(N_EVENTS):
            async with opened.post(f"{stand.dvllm_url}/api/tasks/submit", json=body) as answer:
                answer.raise_for_status()
            await asyncio.sleep(0.5)


async def measure() -> list[Figure]:
    async with open_stand() as stand:
        delays_s = await fan_out_s(stand)
        rss = await idle_rss_bytes(stand)
    return [
        Figure("idle_sockets_rss_mb", rss / MB, "MB", at_most(600)),
        Figure("fan_out_p99_ms", percentile(delays_s, 99) * 1000, "ms", at_most(500)),
    ]


if __name__ == "__main__":
    show(f"WebSockets ({N_IDLE} idle; {N_SUBSCRIBERS} subscribers)", asyncio.run(measure()))
