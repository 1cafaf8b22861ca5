"""When blocks were seen: a websocket of our own beside the worker's."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from pydantic_core import from_json


class Heads:
    """Unix time at which each block's head came."""

    def __init__(self) -> None:
        self.seen_at: dict[int, float] = {}

    async def follow(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            now = time.time()
            head = from_json(message.data).get("params", {}).get("result", {})
            self.seen_at.setdefault(int(head["number"], 16), now)


@asynccontextmanager
async def following_heads(ws_url: str) -> AsyncIterator[Heads]:
    heads = Heads()
    subscribe = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
    async with aiohttp.ClientSession() as session, session.ws_connect(ws_url) as socket:
        await socket.send_json(subscribe)
        await socket.receive()  # the subscription's id
        task = asyncio.create_task(heads.follow(socket))
        try:
            yield heads
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
