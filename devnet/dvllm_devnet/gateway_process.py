"""The network's gateway: `gateway start` as a process of its own."""

import aiohttp

from dvllm_devnet.gateway_setup import DRAIN_S, GatewayPlan
from dvllm_devnet.processes import ChildProcess, Command, wait_until_ready
from dvllm_devnet.programs import find_script

_READY_TIMEOUT_S = 60.0  # also for the lease of its key, when the last one was killed
_LOOK_EVERY_S = 0.2


def gateway_command(plan: GatewayPlan) -> Command:
    argv = (str(find_script("gateway")), "start", "--config", str(plan.settings_file))
    return Command("gateway", argv, stop_timeout_s=DRAIN_S + 10)


async def wait_for_gateway(child: ChildProcess, plan: GatewayPlan) -> None:
    """Until it takes tasks. Raises ProcessFailed."""

    async def is_ready() -> bool:
        return await _answers(f"{plan.admin_url}/readyz")

    await wait_until_ready(child, is_ready, _READY_TIMEOUT_S, every_s=_LOOK_EVERY_S)


async def _answers(url: str) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(url) as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
