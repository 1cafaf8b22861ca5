"""Keeps a network running until somebody ends it, or it falls apart."""

import asyncio

from dvllm_devnet.console import Console
from dvllm_devnet.network import Network
from dvllm_devnet.processes import ChildProcess


async def keep_running(network: Network, console: Console) -> None:
    """Raises ProcessFailed when chain or content store end; without a worker the rest goes on."""
    async with asyncio.TaskGroup() as group:
        for child in network.essential:
            group.create_task(_fail_at_end(child))
        for worker in network.workers:
            group.create_task(_tell_end(worker.child, console))


async def _fail_at_end(child: ChildProcess) -> None:
    code = await child.wait()
    raise child.failure(f"ended with exit code {code}")


async def _tell_end(child: ChildProcess, console: Console) -> None:
    code = await child.wait()
    console.step(f"{child.name} ended with exit code {code}; its log is {child.log}")
