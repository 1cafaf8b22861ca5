"""Tasks of made-up accounts, for whoever keeps or shows them."""

from dataclasses import replace
from typing import Any

from decentralized_vllm.protocol.generation import FinishReason, Usage
from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, TxHash, Wei
from dvllm_gateway.ids import AccountId, new_task_id
from dvllm_gateway.services.stores import Assignment
from dvllm_gateway.services.tasks import TaskRecord, TaskState

ALICE = AccountId("0x70997970c51812dc3a010c7d01b50e0d17dc79c8")
BOB = AccountId("bob")
SENDER = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
NODE = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
PROMPT_CID = Cid("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
RESPONSE_CID = Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
ASSIGNMENT = Assignment(
    sender=SENDER, document=b'{"prompt":"hello"}', ceiling_wei=Wei(10**20), share=25, node=None
)


def new_task(**changes: Any) -> TaskRecord:
    """A pending one of Alice's, that holds 1000 wei."""
    record = TaskRecord(
        id=new_task_id(),
        account=ALICE,
        model_id=ModelId("tiny"),
        prompt="hello",
        prompt_cid=PROMPT_CID,
        max_tokens=100,
        state=TaskState.PENDING,
        created_at_ms=1_700_000_000_000,
        reserved_wei=Wei(1_000),
    )
    return replace(record, **changes)


def submitted(record: TaskRecord, job_id: int = 7) -> TaskRecord:
    return replace(
        record,
        job_id=JobId(job_id),
        request_tx=TxHash("0x" + "ab" * 32),
        submitted_at_ms=record.created_at_ms + 900,
    )


def completed(record: TaskRecord, cost_wei: int = 400) -> TaskRecord:
    return replace(
        submitted(record),
        state=TaskState.COMPLETED,
        started_at_ms=record.created_at_ms + 1_000,
        worker=NODE,
        completed_at_ms=record.created_at_ms + 2_000,
        response="hi there",
        response_cid=RESPONSE_CID,
        finish_reason=FinishReason.STOP,
        usage=Usage(2, 3),
        receipt="0x" + "cd" * 65,
        cost_wei=Wei(cost_wei),
    )
