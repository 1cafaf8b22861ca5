"""Prompts as token ids through the library, answered by a real worker that runs a real model."""

from dataclasses import replace

import pytest
from tokenizers import Tokenizer

from decentralized_vllm import AsyncClient, InvalidPrompt, JobFailed
from tests.support.anvil import running_anvil
from tests.support.engines import tiny_model_path
from tests.support.worker_network import MODEL_ID, TERMS, worker_network

ENGINE = {"kind": "transformers", "dtype": "float32", "slots": 4, "threads": 1}
LONG_LEASE = replace(TERMS, lease_s=240)
START_PATIENCE_S = 240.0
RENDERED = "<|im_start|>user\nname<|im_end|>\n<|im_start|>assistant\n"  # what a chat becomes
GREEDY = {"max_tokens": 12, "temperature": 0.0}


@pytest.fixture
async def net(tmp_path):
    with running_anvil() as anvil:
        async with worker_network(anvil, tmp_path, LONG_LEASE) as net:
            with net.worker(engine=ENGINE, node={"slots": 4}) as worker:
                await net.enlist(worker, slots=4)
                worker.start()
                await worker.logged("on duty", patience_s=START_PATIENCE_S)
                await net.mine_every_second()
                yield net


@pytest.fixture
async def client(net):
    async with AsyncClient.of(net.client_settings()) as client:
        yield client


async def answered(client, prompt):
    task = await client.submit_task(prompt, MODEL_ID, **GREEDY)
    return await client.wait_for_completion(task, timeout=180)


async def test_submit_task__token_ids__are_read_as_they_are_and_refused_before_they_cost(
    net, client
):
    ids = Tokenizer.from_file(str(tiny_model_path() / "tokenizer.json")).encode(RENDERED).ids
    by_ids = await answered(client, ids)
    by_text = await answered(client, "name")
    assert by_ids.document.token_ids == by_text.document.token_ids
    assert by_ids.response == by_text.response
    assert by_ids.usage.n_prompt_tokens == len(ids)

    for wrong, told in (
        ([5, True], "index 1 is no int"),
        ([5] * (LONG_LEASE.max_input_tokens + 1), "more than the 512 of this model"),
    ):
        with pytest.raises(InvalidPrompt, match=f"prompt: .*{told}"):
            await client.submit_task(wrong, MODEL_ID)
    assert await net.network.coordinator.job_count() == 2

    unknown = await client.submit_task([5, 50_000_000], MODEL_ID)
    with pytest.raises(JobFailed) as failure:
        await client.wait_for_completion(unknown, timeout=180)
    assert failure.value.code == "content_invalid"
    fiftieth_wei = unknown.escrow_wei // 50
    assert failure.value.refund_wei == unknown.escrow_wei - fiftieth_wei
