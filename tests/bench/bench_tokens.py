"""Tokens per second through chain and store against the same vLLM server asked directly.

Both ways 96 answers are wanted and 32 are made at once: what is done makes room for the next, so
that start and end, when fewer are in the making, weigh little. The clock runs from the request (on
chain: the head of the first block with one) to the last answer (the head of the block with its
delivery). The two ways take turns; the ratio is the median of those of the rounds.
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
from dvllm_devnet.processes import ChildProcess, Command, wait_until_ready
from tests.bench.figures import Figure, at_least, show
from tests.bench.heads import following_heads
from tests.bench.market import ROOT, Market, open_market
from tests.support.ports import free_ports

BLOCK_S = 1.0  # the heads tell when a delivery came: asking oftener only takes time from it
N_JOBS = 96
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
    port = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as logs:
        child = await ChildProcess.start(server_command(model, port), Path(logs))
        try:
            await wait_until_ready(child, lambda: is_healthy(url), START_TIMEOUT_S)
            await direct(url, N_AT_ONCE)
            yield url
        finally:
            await child.stop()


async def is_healthy(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def direct(url: str, n_jobs: int = N_JOBS) -> float:
    """Tokens per second of so many chats, as many at once as the node has slots."""
    slots = asyncio.Semaphore(N_AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def in_turn(number: int) -> int:
            async with slots:
                return await ask(session, url, number)

        started_s = time.perf_counter()
        counts = await asyncio.gather(*(in_turn(number) for number in range(n_jobs)))
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
    prompts = await market.publish_prompts(N_JOBS, MAX_TOKENS)
    async with following_heads(market.network.plan.ws_url) as heads:
        first = await market.submit(prompts)
        done = await market.deliveries(first, N_JOBS, ask_every_s=BLOCK_S)
    last = max(event.position.block_number for event in done)
    answers = await market.answers(done)
    n_tokens = sum(answer.usage.n_output_tokens for answer in answers.values())
    return n_tokens / (heads.seen_at[last] - heads.seen_at[first])


async def measure() -> list[tuple[float, float]]:
    """Of each round: tokens per second asked directly, and through the network."""
    async with running_server() as url:
        engine = {"kind": "vllm", "url": url, "served_model": SERVED_AS, "slots": N_AT_ONCE}
        async with open_market(engine, slots=N_JOBS, model="smollm2") as market:
            return [(await direct(url), await through_the_network(market)) for _ in range(N_ROUNDS)]


def main() -> None:
    if not (ROOT / VLLM_PYTHON).exists():
        print(f"no vLLM in {VLLM_PYTHON}: left out (make .venv-vllm/.stamp installs it)")
        print("{}")
        sys.exit(0)
    rounds = asyncio.run(measure())
    ratio = statistics.median(worked / asked for asked, worked in rounds)
    show(
        f"Tokens per second ({N_JOBS} answers, {N_AT_ONCE} at once, up to {MAX_TOKENS} each)",
        [
            Figure("direct_tokens_per_s", statistics.median(asked for asked, _ in rounds), "/s"),
            Figure("network_tokens_per_s", statistics.median(worked for _, worked in rounds), "/s"),
            Figure("tokens_ratio", ratio, "", at_least(0.95)),
        ],
    )


if __name__ == "__main__":
    main()
