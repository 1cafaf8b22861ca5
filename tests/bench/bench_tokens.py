"""Tokens per second through chain and store against the same vLLM server asked directly.

32 answers at once, the two ways in turn; the ratio is that of the medians. A job's clock runs from
the head of the block with the requests to the head of the block with the last delivery.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from pydantic_core import from_json

from dvllm_devnet.engine_choice import VLLM_PYTHON
from dvllm_devnet.model_source import MODEL_CACHE
from dvllm_devnet.models.smollm2 import smollm2_model
from dvllm_devnet.ports import free_block
from dvllm_devnet.processes import ChildProcess, Command, wait_until_ready
from tests.bench.figures import Figure, at_least, show
from tests.bench.heads import following_heads
from tests.bench.market import ROOT, Market, open_market

N_AT_ONCE = 32
N_ROUNDS = 3
MAX_TOKENS = 256
SERVED_AS = "smollm2"
START_TIMEOUT_S = 600.0
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    # Without these two, spinning threads take the cores that everything else needs.
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}


def server_command(model: Path, port: int) -> Command:
    argv = (
        *(str(ROOT / VLLM_PYTHON), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", SERVED_AS),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "bfloat16", "--max-model-len", "2048", "--max-num-seqs", "64"),
        "--enforce-eager",
    )
    return Command("vllm", argv, env=ENVIRONMENT)


@asynccontextmanager
async def running_server() -> AsyncIterator[str]:
    """The URL of a vLLM server with SmolLM2, warmed up."""
    model = await asyncio.to_thread(smollm2_model, ROOT / MODEL_CACHE)
    port = free_block(1)
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as logs:
        child = await ChildProcess.start(server_command(model, port), Path(logs))
        try:
            await wait_until_ready(child, lambda: is_healthy(url), START_TIMEOUT_S)
            await direct(url)
            yield url
        finally:
            await child.stop()


async def is_healthy(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def direct(url: str) -> float:
    """Tokens per second of so many chats at once."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        started_s = time.perf_counter()
        counts = await asyncio.gather(*(ask(session, url, n) for n in range(N_AT_ONCE)))
        return sum(counts) / (time.perf_counter() - started_s)


async def ask(session: aiohttp.ClientSession, url: str, number: int) -> int:
    body = {
        "model": SERVED_AS,
        "messages": [{"role": "user", "content": f"Tell story number {number}, a long one."}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0.0,
    }
    async with session.post(f"{url}/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        return int(from_json(await response.read())["usage"]["completion_tokens"])


async def through_the_network(market: Market) -> float:
    prompts = await market.publish_prompts(N_AT_ONCE, MAX_TOKENS)
    async with following_heads(market.network.plan.ws_url) as heads:
        first = await market.submit(prompts)
        done = await market.deliveries(first, N_AT_ONCE)
    last = max(event.position.block_number for event in done)
    answers = await market.answers(done)
    n_tokens = sum(answer.usage.n_output_tokens for answer in answers.values())
    return n_tokens / (heads.seen_at[last] - heads.seen_at[first])


async def measure() -> tuple[float, float]:
    async with running_server() as url:
        engine = {"kind": "vllm", "url": url, "served_model": SERVED_AS, "slots": 64}
        async with open_market(engine, slots=64, model="smollm2") as market:
            rounds = [
                (await direct(url), await through_the_network(market)) for _ in range(N_ROUNDS)
            ]
    asked, worked = zip(*rounds, strict=True)
    return statistics.median(asked), statistics.median(worked)


def main() -> None:
    if not (ROOT / VLLM_PYTHON).exists():
        print(f"no vLLM in {VLLM_PYTHON}: left out (make .venv-vllm/.stamp installs it)")
        print("{}")
        sys.exit(0)
    asked, worked = asyncio.run(measure())
    show(
        f"Tokens per second ({N_AT_ONCE} at once, up to {MAX_TOKENS} each)",
        [
            Figure("direct_tokens_per_s", asked, "/s"),
            Figure("network_tokens_per_s", worked, "/s"),
            Figure("tokens_ratio", worked / asked, "", at_least(0.95)),
        ],
    )


if __name__ == "__main__":
    main()
