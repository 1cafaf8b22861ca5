"""A task's row, and the record it stands for."""

from typing import Any

from sqlalchemy import Row

from decentralized_vllm.protocol.generation import FinishReason, Usage
from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, TxHash, Wei
from dvllm_gateway.errors import Kind
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.stores import Assignment
from dvllm_gateway.services.tasks import Failure, TaskRecord, TaskState

Values = dict[str, Any]


def fixed_values(record: TaskRecord, assignment: Assignment) -> Values:
    """What is known from the start and never changes."""
    return {
        "id": record.id,
        "account": record.account,
        "model_id": record.model_id,
        "prompt_cid": record.prompt_cid,
        "max_tokens": record.max_tokens,
        "created_at_ms": record.created_at_ms,
        "reserved_wei": record.reserved_wei,
        "sender": assignment.sender,
        "ceiling_wei": assignment.ceiling_wei,
        "share": assignment.share,
        "node": assignment.node,
    }


def changing_values(record: TaskRecord) -> Values:
    usage, failure = record.usage, record.failure
    return {
        "state": record.state,
        "job_id": record.job_id,
        "request_tx": record.request_tx,
        "submitted_at_ms": record.submitted_at_ms,
        "started_at_ms": record.started_at_ms,
        "worker": record.worker,
        "completed_at_ms": record.completed_at_ms,
        "response_cid": record.response_cid,
        "finish_reason": record.finish_reason,
        "n_prompt_tokens": usage and usage.n_prompt_tokens,
        "n_output_tokens": usage and usage.n_output_tokens,
        "receipt": record.receipt,
        "cost_wei": record.cost_wei,
        "failure_kind": failure and failure.kind,
        "failure_message": failure and failure.message,
    }


def task_record(row: Row[Any], *, prompt: str, response: str | None) -> TaskRecord:
    return TaskRecord(
        id=TaskId(row.id),
        account=AccountId(row.account),
        model_id=ModelId(row.model_id),
        prompt=prompt,
        prompt_cid=Cid(row.prompt_cid),
        max_tokens=row.max_tokens,
        state=TaskState(row.state),
        created_at_ms=row.created_at_ms,
        reserved_wei=Wei(row.reserved_wei),
        job_id=None if row.job_id is None else JobId(row.job_id),
        request_tx=None if row.request_tx is None else TxHash(row.request_tx),
        submitted_at_ms=row.submitted_at_ms,
        started_at_ms=row.started_at_ms,
        worker=None if row.worker is None else Address(row.worker),
        completed_at_ms=row.completed_at_ms,
        response=response,
        response_cid=None if row.response_cid is None else Cid(row.response_cid),
        finish_reason=None if row.finish_reason is None else FinishReason(row.finish_reason),
        usage=_usage(row),
        receipt=row.receipt,
        cost_wei=Wei(row.cost_wei),
        failure=_failure(row),
    )


def assignment_of(row: Row[Any], document: bytes) -> Assignment:
    return Assignment(
        sender=Address(row.sender),
        document=document,
        ceiling_wei=Wei(row.ceiling_wei),
        share=row.share,
        node=None if row.node is None else Address(row.node),
        is_unwanted=row.is_unwanted,
    )


def _usage(row: Row[Any]) -> Usage | None:
    if row.n_prompt_tokens is None or row.n_output_tokens is None:
        return None
    return Usage(row.n_prompt_tokens, row.n_output_tokens)


def _failure(row: Row[Any]) -> Failure | None:
    if row.failure_kind is None:
        return None
    return Failure(Kind(row.failure_kind), row.failure_message or "")
