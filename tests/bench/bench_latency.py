"""What a worker adds to a job: event to engine start, and engine end to broadcast.

The first is counted from the moment a websocket beside the worker's shows the block; both ends of
the engine's work are in the answer's own document. Blocks are mined when a transaction comes.
"""

import asyncio

from decentralized_vllm.protocol.events import InferenceCompleted
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_devnet.demo.stages import read_stage_times
from dvllm_worker.pipeline.stages import Stage
from tests.bench.figures import Figure, at_most, percentile, show
from tests.bench.heads import Heads, following_heads
from tests.bench.market import Market, open_market

N_JOBS = 100
MS = 1000.0


async def one_job(market: Market, prompt: Cid) -> tuple[int, InferenceCompleted]:
    block = await market.submit([prompt])
    (done,) = await market.deliveries(block, 1)
    return block, done


def start_ms(heads: Heads, block: int, answer: ResponseDocument) -> float:
    return answer.timing.started_at_ms - heads.seen_at[block] * MS


def broadcast_ms(market: Market, answer: ResponseDocument) -> float:
    ended_at_ms = answer.timing.started_at_ms + answer.timing.total_ms
    times = read_stage_times(market.worker_log, answer.request.job_id)
    return times[Stage.SUBMITTED] * MS - ended_at_ms


async def measure() -> tuple[list[float], list[float]]:
    async with (
        open_market({"kind": "null"}, slots=16) as market,
        following_heads(market.network.plan.ws_url) as heads,
    ):
        prompts = await market.publish_prompts(N_JOBS, max_tokens=8)
        await market.chain.rpc.call("evm_setAutomine", True)
        jobs = [await one_job(market, prompt) for prompt in prompts]
        answers = await market.answers([done for _, done in jobs])
        starts = [start_ms(heads, block, answers[done.job_id]) for block, done in jobs]
        broadcasts = [broadcast_ms(market, answers[done.job_id]) for _, done in jobs]
    return starts, broadcasts


def main() -> None:
    starts, broadcasts = asyncio.run(measure())
    show(
        f"Latency of the worker ({N_JOBS} jobs, one after the other)",
        [
            Figure("event_to_engine_p50_ms", percentile(starts, 50), "ms", at_most(50)),
            Figure("event_to_engine_p99_ms", percentile(starts, 99), "ms", at_most(250)),
            Figure("engine_to_broadcast_p50_ms", percentile(broadcasts, 50), "ms", at_most(50)),
            Figure("engine_to_broadcast_p99_ms", percentile(broadcasts, 99), "ms"),
        ],
    )


if __name__ == "__main__":
    main()
