"""A job through chain and store, answered by the engines that nodes really run."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from decentralized_vllm.protocol.generation import SamplingParameters, Usage
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.prompts import chat_prompt
from tests.support.anvil import Anvil
from tests.support.engines import vllm_python
from tests.support.worker_network import TERMS, WorkerNetwork, worker_network

PATIENCE_S = 240.0  # vLLM takes half a minute to start on two idle cores
LONG_LEASE = replace(TERMS, lease_s=240, open_s=60)
N_TOKENS = 12
PROMPT = chat_prompt("name", SamplingParameters(max_tokens=N_TOKENS, temperature=0.0)).to_bytes()


@pytest.fixture
async def patient_net(anvil: Anvil, tmp_path: Path) -> AsyncIterator[WorkerNetwork]:
    async with worker_network(anvil, tmp_path, LONG_LEASE) as net:
        yield net


def engine_settings(kind: str) -> dict[str, object]:
    settings: dict[str, object] = {"kind": kind, "dtype": "float32", "slots": 4, "threads": 1}
    if kind == "vllm":
        settings |= {"python": str(vllm_python()), "max_model_len": 512}
    return settings


def price_wei(usage: Usage) -> int:
    read = usage.n_prompt_tokens * LONG_LEASE.input_price_gwei
    made = usage.n_output_tokens * LONG_LEASE.output_price_gwei
    return (LONG_LEASE.flat_fee_gwei + read + made) * 10**9


@pytest.mark.parametrize("kind", ["transformers", pytest.param("vllm", marks=pytest.mark.vllm)])
async def test_job__real_engine__answered_and_billed_by_its_tokens(
    patient_net: WorkerNetwork, kind: str
) -> None:
    with patient_net.worker(engine=engine_settings(kind), node={"slots": 4}) as worker:
        await patient_net.enlist(worker, slots=4)
        worker.start()
        await worker.logged("on duty", patience_s=PATIENCE_S)
        job_id = await patient_net.submit(PROMPT)
        await patient_net.reaches(job_id, JobStatus.DELIVERED, patience_s=PATIENCE_S)
        document = await patient_net.answer(job_id)
        assert document.engine.name == kind
        assert document.usage.n_output_tokens == len(document.token_ids) == N_TOKENS
        assert document.text
        node = await patient_net.network.coordinator.node(worker.address)
        assert node.pending_earnings_wei == price_wei(document.usage)
