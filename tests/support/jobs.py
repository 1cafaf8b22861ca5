"""Makes jobs, rows and events for tests: everything has a default, tests state what matters."""

from typing import Any

from decentralized_vllm.protocol.digests import request_digest
from decentralized_vllm.protocol.events import InferenceRequested, JobLeased, JobOpened, LogPosition
from decentralized_vllm.protocol.ids import (
    Address,
    BlockNumber,
    Cid,
    JobId,
    ModelId,
    TxHash,
    VersionNumber,
    Wei,
)
from decentralized_vllm.protocol.jobs import JobState, JobStatus, Terms
from dvllm_worker.pipeline.rows import JobKey, JobRow, Marker
from dvllm_worker.pipeline.stages import Stage

ME = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
OTHER = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
REQUESTER = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
COORDINATOR = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
CHAIN_ID = 31337
PROMPT_CID = Cid("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
MODEL_CID = Cid("bafybeieqdysdekninjsr5wgyndcclkxxjgchz63h5ka7t2ftwm6rn3zjri")
RESPONSE_CID = Cid("bafkreihffwofbdcqendtitmma6wzds6wa2fpy5p7mkjpayvatsrydse6oe")


def position(block: int = 10, log: int = 0) -> LogPosition:
    return LogPosition(BlockNumber(block), f"0x{block:064x}", TxHash(f"0x{block:064x}"), log)


def requested(
    job_id: int = 1, *, block: int = 10, log: int = 0, **changes: Any
) -> InferenceRequested:
    fields: dict[str, Any] = {
        "controller": REQUESTER,
        "prompt_cid": PROMPT_CID,
        "model_id": ModelId("tiny"),
        "model_cid": MODEL_CID,
        **changes,
    }
    return InferenceRequested(position(block, log), JobId(job_id), **fields)


def leased(
    job_id: int = 1, node: Address = ME, *, until_s: int = 200, block: int = 10, log: int = 1
) -> JobLeased:
    return JobLeased(position(block, log), JobId(job_id), node, until_s)


def opened(job_id: int = 1, *, until_s: int = 400, block: int = 10, log: int = 1) -> JobOpened:
    return JobOpened(position(block, log), JobId(job_id), until_s)


def digest_of(request: InferenceRequested) -> bytes:
    return request_digest(
        request.job_id, request.controller, request.prompt_cid, request.model_id, request.model_cid
    )


def key(job_id: int = 1, **changes: Any) -> JobKey:
    return JobKey(CHAIN_ID, COORDINATOR, JobId(job_id), digest_of(requested(job_id, **changes)))


def row(job_id: int = 1, stage: Stage = Stage.LEASED, **changes: Any) -> JobRow:
    fields: dict[str, Any] = {"until_s": 200, "as_of": Marker(10, 1), **changes}
    return JobRow(key(job_id), requested(job_id), stage, **fields)


def state(job_id: int = 1, **changes: Any) -> JobState:
    fields: dict[str, Any] = {
        "requester": REQUESTER,
        "node": ME,
        "until_s": 200,
        "version": VersionNumber(1),
        "status": JobStatus.LEASED,
        "attempts": 1,
        "share": 255,
        "is_final": False,
        "escrow_wei": Wei(10**18),
        "digest": key(job_id).digest,
        **changes,
    }
    return JobState(JobId(job_id), **fields)


def terms(**changes: Any) -> Terms:
    fields: dict[str, Any] = {
        "input_price_gwei": 0,
        "output_price_gwei": 0,
        "flat_fee_gwei": 10**9,
        "max_fee_gwei": 10**9,
        "lease_s": 60,
        "open_s": 60,
        "max_input_tokens": 1000,
        "max_output_tokens": 500,
        **changes,
    }
    return Terms(**fields)
