"""What a gateway knows of the nodes behind it."""

import asyncio

import aiohttp

from tests.support.gateway_process import GatewayProcess


async def node_is_known(gateway: GatewayProcess) -> None:
    """What a node does beyond plain text is asked of it in the background."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(60):
        while True:
            async with http.get(f"{gateway.unified_url}/api/peers") as reply:
                if any(peer["connected"] for peer in (await reply.json())["peers"]):
                    return
            await asyncio.sleep(0.1)
