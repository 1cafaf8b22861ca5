"""The network's content store: `dvllm content serve` as a process of its own."""

import functools

import aiohttp

from dvllm_devnet.layout import Layout
from dvllm_devnet.processes import ChildProcess, Command, wait_until_ready
from dvllm_devnet.programs import find_script
from dvllm_devnet.settings import ContentSettings

_READY_TIMEOUT_S = 30.0


def content_command(settings: ContentSettings, layout: Layout) -> Command:
    argv = (
        str(find_script("dvllm")),
        *("content", "serve"),
        *("--store", str(layout.store)),
        *("--api-port", str(settings.api_port)),
        *("--gateway-port", str(settings.gateway_port)),
    )
    return Command("content", argv)


async def start_content(settings: ContentSettings, layout: Layout) -> ChildProcess:
    """Returns when it answers. Raises ProcessFailed; whoever calls ends what is returned."""
    child = await ChildProcess.start(content_command(settings, layout), layout.logs)
    api_url = f"http://127.0.0.1:{settings.api_port}"
    try:
        await wait_until_ready(child, functools.partial(api_answers, api_url), _READY_TIMEOUT_S)
    except BaseException:
        await child.stop()
        raise
    return child


async def api_answers(api_url: str) -> bool:
    """Kubo's RPC takes POST only."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.post(f"{api_url}/api/v0/version") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
