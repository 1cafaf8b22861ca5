"""Sends numbered prompts from one key and says so: a process for tests to kill.

    python -m tests.support.sender_process URL COORDINATOR FOLDER COUNT

Prints "sent N" as each is accepted and "done" when all are mined.
"""

import asyncio
import sys
from pathlib import Path

from decentralized_vllm.chain.network import ChainSettings, connect
from tests.support.local_network import MODEL, PROMPT_CID, REQUESTER, sending


async def main(url: str, coordinator: str, folder: Path, count: int) -> None:
    async with (
        connect(ChainSettings((url,), coordinator)) as network,
        sending(network, REQUESTER, folder) as sender,
    ):

        async def send(number: int) -> None:
            call = network.requester_calls.submit_prompt(PROMPT_CID, MODEL.model_id)
            await sender.send(call, key=f"prompt {number}")
            print("sent", number, flush=True)

        await asyncio.gather(*(send(number) for number in range(count)))
        await asyncio.gather(*(sender.wait(f"prompt {number}") for number in range(count)))
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
