"""Submits several questions at once on a running local network, and tells how far each is.

python examples/follow.py "One question?" "Another question?"
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from decentralized_vllm import AsyncClient, TaskProgress

MANIFEST = Path(".devnet/devnet.json")


def show(progress: TaskProgress) -> None:
    print(f"job {progress.id}: {progress.percentage:5.1f} %")


async def main(network: dict[str, Any], questions: list[str]) -> None:
    requester = next(a for a in network["accounts"] if a["name"] == "requester")
    async with AsyncClient(
        network["rpc_url"],
        network["contracts"]["coordinator"],
        requester["private_key"],
        ipfs_host="127.0.0.1",
        ipfs_port=int(network["ipfs_api"].rpartition(":")[2]),
        ws_url=network["ws_url"],
    ) as client:
        client.on("task_progress", show)
        await client.start_monitoring()
        model = (await client.list_models())[0]
        tasks = await asyncio.gather(*(client.submit_task(q, model.id) for q in questions))
        for question, result in zip(
            questions, await client.wait_for_all(tasks, timeout=300), strict=True
        ):
            print(f"{question}\n  {result.response}")


if not MANIFEST.exists():
    sys.exit("no local network runs in this folder: start one with `make devnet`")
asyncio.run(
    main(json.loads(MANIFEST.read_text()), sys.argv[1:] or ["One question?", "Another question?"])
)
