"""OpenAI's client gets vectors of a real model out of vLLM, over gateway and chain, and pays."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from decentralized_vllm.protocol.embeddings import read_vectors
from decentralized_vllm.protocol.events import InferenceCompleted
from decentralized_vllm.protocol.generation import GenerationRequest, SamplingParameters, Usage
from decentralized_vllm.protocol.ids import Cid, JobId
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.prompts import parse_prompt
from decentralized_vllm.protocol.units import tokens
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.transformers_engine import TransformersEngine
from tests.support.anvil import running_anvil
from tests.support.clients.programs import told_by_python
from tests.support.engines import Answer, ask, running, smollm2_model_path
from tests.support.gateway_process import GatewayProcess
from tests.support.real_model_network import (
    ENGINE,
    LONG_LEASE,
    gateway_before,
    replace_model,
)
from tests.support.sentence_model import NORMALIZE, flags, make_sentence_model
from tests.support.worker_network import MODEL_ID, WorkerNetwork, worker_network
from tests.support.worker_process import WorkerProcess

N_GRANTED = 100
INPUTS = ("The cat sleeps on the sofa.", "A kitten naps on the couch.", "Taxes rise.", "名前")


async def make_it_smollm2(net: WorkerNetwork) -> None:
    """What the network's model is from here on, and its files say how it pools."""
    path = net.folder / "smollm2"
    shutil.copytree(smollm2_model_path(), path)
    make_sentence_model(path, flags(lasttoken=True), NORMALIZE)
    await replace_model(net, path)


async def by_transformers() -> Answer:
    engine = TransformersEngine(
        EngineSettings(threads=1, dtype="float32"), smollm2_model_path(), pooling="last"
    )
    async with running(engine):
        request = GenerationRequest("r", SamplingParameters(max_tokens=1), inputs=INPUTS)
        return await ask(engine, request)


def price_wei(usage: Usage) -> int:
    read = usage.n_prompt_tokens * LONG_LEASE.input_price_gwei
    return (LONG_LEASE.flat_fee_gwei + read) * 10**9


async def spent_wei(gateway: GatewayProcess, account: str) -> int:
    shown = await asyncio.to_thread(gateway.run, "accounts", "show", account, "--json")
    assert shown.returncode == 0, shown.stderr
    balance = json.loads(shown.stdout)
    assert balance["reserved_wei"] == "0"
    return tokens(N_GRANTED) - int(balance["available_wei"])


async def check_proofs(net: WorkerNetwork, worker: WorkerProcess, headers: dict[str, str]) -> Usage:
    """Everything that the headers name is on chain and in the store, and fits together."""
    job_id = JobId(int(headers["x-dvllm-job-id"]))
    await net.reaches(job_id, JobStatus.DELIVERED)
    events = await net.network.jobs.events(job_id)
    (done,) = [event for event in events if isinstance(event, InferenceCompleted)]
    assert (done.worker, done.response_cid) == (worker.address, headers["x-dvllm-response-cid"])
    assert headers["x-dvllm-worker"] == worker.address
    signed = await net.answer(job_id)
    assert headers["x-dvllm-receipt"] == "0x" + signed.signature.hex()
    assert (signed.engine.name, signed.token_ids) == ("vllm", ())
    prompt_cid = Cid(headers["x-dvllm-prompt-cid"])
    assert signed.request.prompt_cid == prompt_cid
    prompt = parse_prompt(await net.store.read_bytes(prompt_cid, max_bytes=1 << 20))
    assert prompt.inputs == INPUTS
    return signed.usage


async def check_money(
    net: WorkerNetwork, worker: WorkerProcess, gateway: GatewayProcess, usage: Usage
) -> None:
    node = await net.network.coordinator.node(worker.address)
    assert node.pending_earnings_wei == price_wei(usage)
    await gateway.has_open_tasks(0)  # the answer comes before what it costs is in the books
    assert await spent_wei(gateway, "client") == price_wei(usage)


def check_vectors(told: dict[str, Any], expected: Answer) -> None:
    reference = read_vectors(expected.text, len(INPUTS))
    assert told["indices"] == [*range(len(INPUTS))]
    for vector, wanted in zip(told["vectors"], reference, strict=True):
        assert vector == pytest.approx(wanted, abs=1e-4)
    n_tokens = expected.chunks[0].n_prompt_tokens
    assert told["usage"] == {"prompt_tokens": n_tokens, "total_tokens": n_tokens}


@pytest.mark.long
@pytest.mark.vllm
@pytest.mark.timeout(900)
async def test_openai_for_python__vectors_of_a_real_model__right_and_paid(tmp_path: Path) -> None:
    with running_anvil() as anvil:
        async with worker_network(anvil, tmp_path, LONG_LEASE) as net:
            await make_it_smollm2(net)
            async with gateway_before(net, ENGINE) as (gateway, worker):
                key = await gateway.make_key("client", credit=str(N_GRANTED))
                v1 = f"{gateway.unified_url}/v1"
                told = await told_by_python("openai_embedding.py", v1, key, str(MODEL_ID), *INPUTS)
                usage = await check_proofs(net, worker, told["headers"])
                assert usage.n_prompt_tokens == told["usage"]["prompt_tokens"]
                await check_money(net, worker, gateway, usage)
    check_vectors(told, await by_transformers())
