"""What a node makes of prompts that it can not answer: a typed failure and a refund."""

import json

from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.protocol.documents import MAX_PROMPT_BYTES
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus
from tests.support.worker_network import FIRST_WORKER, TERMS, WorkerNetwork
from tests.support.worker_process import run_in_thread

ESCROW_WEI = TERMS.max_fee_gwei * 10**9
HONEST = b"an honest prompt" * 5_000  # longer than what a store keeps in memory


async def failure_of(net: WorkerNetwork, prompt: bytes | Cid) -> FailureCode:
    """Submits to the running node, and checks that the requester lost a fiftieth and no more."""
    job_id = await net.submit(prompt)
    await net.reaches(job_id, JobStatus.FAILED)
    failure = await net.failure(job_id)
    assert failure.refund_wei == ESCROW_WEI - ESCROW_WEI // 50
    assert failure.node == FIRST_WORKER.address
    return failure.code


INVALID = {
    "wrong schema": b'{"version": 1, "type": "chat", "messages": "none"}',
    "broken JSON": b'{"version": 1',
    "negative max_tokens": b'{"version": 1, "type": "completion", "prompt": "x", '
    b'"parameters": {"max_tokens": -1}}',
    "an unbounded schema": b'{"version": 1, "type": "completion", "prompt": "x", "parameters": '
    b'{"response_format": {"type": "json_schema", "schema": {"pattern": "(a+)+"}}}}',
    "what the engine does not do": b'{"version": 1, "type": "completion", "prompt": "x", '
    b'"parameters": {"response_format": {"type": "json_schema", "schema": {}}}}',
    "not UTF-8": b"\xff\xfe not text",
    "blank": b"   ",
}


async def test_bad_prompts__each__its_code_and_a_refund(net: WorkerNetwork) -> None:
    """One node meets them all, and serves on."""
    with net.worker(content={"fetch_timeout_s": 1.0}) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        codes = {name: await failure_of(net, prompt) for name, prompt in INVALID.items()}
        assert codes == dict.fromkeys(INVALID, FailureCode.CONTENT_INVALID)
        others = {
            FailureCode.CONTENT_MISSING: cid_of_bytes(b"kept secret"),
            FailureCode.CONTENT_TOO_LARGE: b"x" * (MAX_PROMPT_BYTES + 1),
            FailureCode.CONTENT_INVALID: Cid("QmPromptHash123"),
        }
        for code, prompt in others.items():
            assert await failure_of(net, prompt) is code
        told = await run_in_thread(worker, "jobs", "--json")
        reasons = [job["reason"] for job in json.loads(told.stdout)["jobs"]]
        assert f"the prompt is too large: more than {MAX_PROMPT_BYTES} bytes" in reasons
        long = b"word " * (TERMS.max_input_tokens + 1)
        assert await failure_of(net, long) is FailureCode.CONTENT_TOO_LARGE
        assert await failure_of(net, await directory(net)) is FailureCode.CONTENT_INVALID
        assert await failure_of(net, await forged(net)) is FailureCode.CONTENT_MISSING
        good = await net.submit()
        await net.reaches(good, JobStatus.DELIVERED)
        assert not (await net.network.coordinator.node(worker.address)).is_suspended


async def directory(net: WorkerNetwork) -> Cid:
    folder = net.folder / "prompt"
    folder.mkdir()
    (folder / "prompt.txt").write_text("hello")
    return await net.store.add_path(folder)


async def forged(net: WorkerNetwork) -> Cid:
    """A prompt whose only copy is not what its CID says."""
    cid = await net.store.add_bytes(HONEST)
    [block] = [
        path for path in (net.folder / "public").rglob("*.data") if path.read_bytes() == HONEST
    ]
    block.chmod(0o644)
    block.write_bytes(b"another prompt!!" * 5_000)
    return cid
