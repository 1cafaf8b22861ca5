"""Rows of the table to and from what the pipeline knows."""

from typing import Any

from decentralized_vllm.protocol.events import InferenceRequested, LogPosition
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Address, BlockNumber, Cid, JobId, ModelId, TxHash
from decentralized_vllm.protocol.jobs import FailureCode
from dvllm_worker.pipeline.rows import JobKey, JobRow, Marker
from dvllm_worker.pipeline.stages import Stage

MAX_REASON_CHARACTERS = 500


def columns_of(row: JobRow) -> dict[str, Any]:
    request, usage = row.request, row.usage
    return {
        **key_columns(row.key),
        "requester": request.controller,
        "prompt_cid": request.prompt_cid,
        "model_id": request.model_id,
        "model_cid": request.model_cid,
        "block_number": request.position.block_number,
        "block_hash": request.position.block_hash,
        "request_tx": request.position.tx_hash,
        "log_index": request.position.log_index,
        "stage": row.stage.value,
        "until_s": row.until_s,
        "as_of_block": row.as_of.block_number,
        "as_of_log": row.as_of.log_index,
        "attempt": row.attempt,
        "response_cid": row.response_cid,
        "n_prompt_tokens": usage.n_prompt_tokens if usage else None,
        "n_output_tokens": usage.n_output_tokens if usage else None,
        "tx_hash": row.tx_hash,
        "failure": row.failure,
        "reason": row.reason[:MAX_REASON_CHARACTERS],
        "updated_s": row.updated_s,
    }


def key_columns(key: JobKey) -> dict[str, Any]:
    return {
        "chain_id": key.chain_id,
        "coordinator": key.coordinator,
        "job_id": str(key.job_id),
        "digest": key.digest,
    }


def row_of(columns: Any) -> JobRow:
    """`columns` is a row of the table."""
    key = JobKey(
        columns.chain_id,
        Address(columns.coordinator),
        JobId(int(columns.job_id)),
        bytes(columns.digest),
    )
    return JobRow(
        key=key,
        request=_request_of(columns),
        stage=Stage(columns.stage),
        until_s=columns.until_s,
        as_of=Marker(columns.as_of_block, columns.as_of_log),
        response_cid=columns.response_cid,
        usage=_usage_of(columns),
        tx_hash=columns.tx_hash,
        failure=None if columns.failure is None else FailureCode(columns.failure),
        reason=columns.reason,
        attempt=columns.attempt,
        updated_s=columns.updated_s,
    )


def _request_of(columns: Any) -> InferenceRequested:
    return InferenceRequested(
        position=LogPosition(
            BlockNumber(columns.block_number),
            columns.block_hash,
            TxHash(columns.request_tx),
            columns.log_index,
        ),
        job_id=JobId(int(columns.job_id)),
        controller=Address(columns.requester),
        prompt_cid=Cid(columns.prompt_cid),
        model_id=ModelId(columns.model_id),
        model_cid=Cid(columns.model_cid),
    )


def _usage_of(columns: Any) -> Usage | None:
    if columns.n_prompt_tokens is None:
        return None
    return Usage(columns.n_prompt_tokens, columns.n_output_tokens)
