"""What a chat call costs the gateway, beside LiteLLM's proxy; and its own time in each call.

Each call here is a real escrowed job on the local chain, answered by a worker's null engine, while
the proxy only passes its calls on to a server that answers at once. Both are measured by what
their processes spend: waiting for a block costs no processor. Own time is measured twice: with
all processes fighting for the same cores (`shared`), and with the gateway going first.
"""

import asyncio
import tempfile
from pathlib import Path

import psutil
from pydantic_core import from_json

from tests.bench.figures import Figure, at_least, at_most, percentile, show
from tests.bench.gateway.litellm_proxy import KEY, litellm_proxy
from tests.bench.gateway.load import at_pace, chat, closed_loop, session
from tests.bench.gateway.stand import MODEL, Stand, cpu_s, open_stand

ROUNDS = 3
N_CALLS = 300
N_AT_ONCE = 100
PACE_PER_S = 50.0
N_PACED = 1000


async def cpu_per_call(url: str, headers: dict[str, str], process: psutil.Process) -> float:
    async with session(headers) as opened:
        before_s = cpu_s(process)
        await closed_loop(chat(opened, url, MODEL), n_calls=N_CALLS, n_at_once=N_AT_ONCE)
        return (cpu_s(process) - before_s) / N_CALLS


async def beside_litellm(stand: Stand) -> tuple[float, float]:
    """Seconds of processor per call: ours and the proxy's, the median of rounds in turn."""
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with litellm_proxy(Path(folder)) as (url, proxy):
            for _ in range(ROUNDS + 1):
                ours.append(await cpu_per_call(stand.url, stand.headers, stand.gateway))
                key = {"Authorization": f"Bearer {KEY}"}
                theirs.append(await cpu_per_call(url, key, proxy))
    return percentile(ours[1:], 50), percentile(theirs[1:], 50)  # the first one warms up


async def own_times_ms(stand: Stand) -> list[float]:
    """As the gateway's own log tells them, of calls at a steady pace."""
    log_starts_at = stand.log.stat().st_size
    async with session(stand.headers) as opened:
        await at_pace(chat(opened, stand.url, MODEL), per_second=PACE_PER_S, n_calls=N_PACED)
    await asyncio.sleep(1)
    with stand.log.open("rb") as log:
        log.seek(log_starts_at)
        lines = [from_json(line) for line in log if line.startswith(b"{")]
    return [
        line["own_ms"]
        for line in lines
        if line.get("operation") == "createChatCompletion" and line.get("status") == 200
    ]


async def measure() -> list[Figure]:
    async with open_stand() as stand:
        ours_s, theirs_s = await beside_litellm(stand)
        shared_ms = await own_times_ms(stand)
        stand.let_gateway_go_first()
        own_ms = await own_times_ms(stand)
    return [
        Figure("cpu_per_call_ms", ours_s * 1000, "ms"),
        Figure("litellm_cpu_per_call_ms", theirs_s * 1000, "ms"),
        Figure("rate_per_core_ratio", theirs_s / ours_s, "", at_least(1)),
        Figure("own_time_p50_ms", percentile(own_ms, 50), "ms", at_most(4)),
        Figure("own_time_p99_ms", percentile(own_ms, 99), "ms", at_most(20)),
        Figure("own_time_calls", len(own_ms), ""),
        Figure("own_time_shared_p50_ms", percentile(shared_ms, 50), "ms"),
        Figure("own_time_shared_p99_ms", percentile(shared_ms, 99), "ms"),
    ]


if __name__ == "__main__":
    show(
        f"Chat calls ({N_CALLS} of {N_AT_ONCE} callers; own time at {PACE_PER_S:g} jobs/s)",
        asyncio.run(measure()),
    )
