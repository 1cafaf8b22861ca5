"""What a node makes of prompts that it can not answer: a typed failure and a refund."""

import pytest

from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.protocol.documents import MAX_PROMPT_BYTES
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus
from tests.support.worker_network import FIRST_WORKER, TERMS, WorkerNetwork

ESCROW_WEI = TERMS.max_fee_gwei * 10**9


async def failure_of(net: WorkerNetwork, prompt: bytes | Cid) -> FailureCode:
    """Submits to a running node, and checks that the requester lost a fiftieth and no more."""
    with net.worker(content={"fetch_timeout_s": 1.0}) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        job_id = await net.submit(prompt)
        await net.reaches(job_id, JobStatus.FAILED)
        failure = await net.failure(job_id)
        assert failure.refund_wei == ESCROW_WEI - ESCROW_WEI // 50
        assert failure.node == FIRST_WORKER.address
        assert not (await net.network.coordinator.node(worker.address)).is_suspended
        return failure.code


@pytest.mark.parametrize(
    "prompt",
    [
        b'{"version": 1, "type": "chat", "messages": "none"}',
        b'{"version": 1',
        b'{"version": 1, "type": "completion", "prompt": "x", "parameters": {"max_tokens": -1}}',
        b"\xff\xfe not text",
        b"   ",
    ],
)
async def test_prompt_is_no_valid_document__content_invalid(
    net: WorkerNetwork, prompt: bytes
) -> None:
    assert await failure_of(net, prompt) is FailureCode.CONTENT_INVALID


async def test_prompt_nobody_has__content_missing(net: WorkerNetwork) -> None:
    assert await failure_of(net, cid_of_bytes(b"kept secret")) is FailureCode.CONTENT_MISSING


async def test_prompt_over_the_limit__content_too_large(net: WorkerNetwork) -> None:
    prompt = b"x" * (MAX_PROMPT_BYTES + 1)
    assert await failure_of(net, prompt) is FailureCode.CONTENT_TOO_LARGE


async def test_prompt_with_more_tokens_than_the_terms__content_too_large(
    net: WorkerNetwork,
) -> None:
    prompt = b"word " * (TERMS.max_input_tokens + 1)
    assert await failure_of(net, prompt) is FailureCode.CONTENT_TOO_LARGE


async def test_prompt_is_a_directory__content_invalid(net: WorkerNetwork) -> None:
    folder = net.folder / "prompt"
    folder.mkdir()
    (folder / "prompt.txt").write_text("hello")
    assert await failure_of(net, await net.store.add_path(folder)) is FailureCode.CONTENT_INVALID


async def test_prompt_cid_is_no_cid__content_invalid(net: WorkerNetwork) -> None:
    assert await failure_of(net, Cid("QmPromptHash123")) is FailureCode.CONTENT_INVALID


async def test_bytes_do_not_match_the_cid__content_missing(net: WorkerNetwork) -> None:
    cid = await net.store.add_bytes(b"an honest prompt")
    [block] = [
        path
        for path in (net.folder / "public").rglob("*.data")
        if path.read_bytes() == b"an honest prompt"
    ]
    block.chmod(0o644)
    block.write_bytes(b"another prompt!!")
    assert await failure_of(net, cid) is FailureCode.CONTENT_MISSING
