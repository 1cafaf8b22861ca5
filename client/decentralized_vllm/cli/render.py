"""Tasks, models, nodes and balances as JSON objects and as lines for people."""

import json
from typing import Any

from decentralized_vllm.protocol.nodes import RegisteredNode
from decentralized_vllm.protocol.tools import ToolCall
from decentralized_vllm.protocol.transactions import Receipt
from decentralized_vllm.protocol.units import format_tokens
from decentralized_vllm.requester.tasks import Balance, Model, Task

Fields = dict[str, Any]


def task_fields(task: Task) -> Fields:
    """Amounts are decimal strings of wei: they do not fit a JSON number of every reader."""
    usage = task.usage
    return {
        "job_id": task.id,
        "status": task.status.value,
        "model_id": task.model_id,
        "prompt_cid": task.prompt_cid,
        "response": task.response,
        "tool_calls": [_call_fields(call) for call in task.tool_calls],
        "vectors": task.vectors,
        "response_cid": task.response_cid,
        "worker": task.worker,
        "workers": list(task.workers),
        "finish_reason": task.finish_reason and task.finish_reason.value,
        "usage": usage
        and {"prompt_tokens": usage.n_prompt_tokens, "output_tokens": usage.n_output_tokens},
        "escrow_wei": str(task.escrow_wei),
        "price_wei": _wei(task.price_wei),
        "refund_wei": _wei(task.refund_wei),
        "failure": task.failure,
        "request_tx": task.request_tx,
        "response_tx": task.response_tx,
        "submitted": task.timing.submitted,
        "started": task.timing.started,
        "completed": task.timing.completed,
        "total_time": task.timing.total_time,
    }


def answer_lines(task: Task) -> list[str]:
    """The answer alone: vectors as JSON, or the text if there is one, and a line for each call."""
    if task.vectors is not None:
        return [json.dumps(vector) for vector in task.vectors]
    calls = [f"{call.name}({call.arguments})" for call in task.tool_calls]
    return [task.response, *calls] if task.response else calls


def task_lines(task: Task) -> list[str]:
    """The story of a job, without its answer."""
    lines = [
        ("job", f"{task.id}, {task.status}"),
        ("model", task.model_id),
        ("prompt", task.prompt_cid),
        ("escrow", format_tokens(task.escrow_wei)),
        ("request", task.request_tx),
    ]
    if task.workers:
        lines.append(("leased to", ", then ".join(task.workers)))
    if task.usage is not None:
        counts = f"{task.usage.n_prompt_tokens} read, {task.usage.n_output_tokens} written"
        lines.append(("tokens", f"{counts}, ended by {task.finish_reason}"))
    if task.price_wei is not None:
        lines.append(("price", format_tokens(task.price_wei)))
    if task.refund_wei is not None:
        lines.append(("went back", format_tokens(task.refund_wei)))
    if task.failure is not None:
        lines.append(("failure", task.failure))
    if task.response_cid is not None:
        lines.append(("response", task.response_cid))
    if task.timing.total_time is not None:
        lines.append(("seconds", f"{task.timing.total_time:g}"))
    return [f"{label:>10}  {text}" for label, text in lines]


def task_row(task: Task) -> str:
    price = task.escrow_wei if task.price_wei is None else task.price_wei
    return f"{task.id:>8}  {task.status:<9}  {format_tokens(price):>14}  {task.model_id}"


def model_fields(model: Model) -> Fields:
    return {
        "id": model.id,
        "name": model.name,
        "description": model.description,
        "cid": model.cid,
        "active": model.active,
        "timestamp": model.timestamp,
    }


def node_fields(node: RegisteredNode) -> Fields:
    profile = node.profile
    return {
        "address": node.operator,
        "endpoint": profile.endpoint,
        "region": profile.region,
        "slots": profile.slots,
        "max_ram_mib": profile.max_ram_mib,
        "max_vram_mib": profile.max_vram_mib,
        "max_cpu_percent": profile.max_cpu_percent,
        "registered_at": node.registered_at_s,
    }


def balance_fields(balance: Balance) -> Fields:
    return {
        "account": balance.account,
        "credit_wei": str(balance.credit_wei),
        "wallet_wei": str(balance.wallet_wei),
        "gas_wei": str(balance.gas_wei),
    }


def receipt_fields(receipt: Receipt) -> Fields:
    return {
        "tx": receipt.tx_hash,
        "block": receipt.block_number,
        "gas_used": receipt.gas_used,
        "gas_price_wei": str(receipt.gas_price_wei),
    }


def _call_fields(call: ToolCall) -> Fields:
    """As OpenAI's API has it."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _wei(amount_wei: int | None) -> str | None:
    return None if amount_wei is None else str(amount_wei)
