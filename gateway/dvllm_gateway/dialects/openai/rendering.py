"""From answers to bodies and headers, for both kinds of completions."""

from collections.abc import Callable, Mapping, Sequence

from decentralized_vllm.protocol.generation import Usage
from dvllm_gateway.dialects.openai.replies import UsageReply
from dvllm_gateway.services.tasks import TaskRecord

MOST_PROVED = 8
TASK_ID = "X-Dvllm-Task-Id"

_FACTS: Mapping[str, Callable[[TaskRecord], object]] = {
    TASK_ID: lambda task: f"task_{task.id}",
    "X-Dvllm-Job-Id": lambda task: task.job_id,
    "X-Dvllm-Request-Tx": lambda task: task.request_tx,
    "X-Dvllm-Prompt-Cid": lambda task: task.prompt_cid,
    "X-Dvllm-Worker": lambda task: task.worker,
    "X-Dvllm-Response-Cid": lambda task: task.response_cid,
    "X-Dvllm-Receipt": lambda task: task.receipt,
}


def task_headers(tasks: Sequence[TaskRecord]) -> dict[str, str]:
    """What proves the answers; several choices are several jobs, named with commas.

    Of very many the ids alone, by which the rest is asked for: clients and proxies refuse longer
    headers, and whoever is refused asks again, and pays again.
    """
    headers: dict[str, str] = {}
    for name in _FACTS if len(tasks) <= MOST_PROVED else (TASK_ID,):
        fact = _FACTS[name]
        facts = [fact(task) for task in tasks]
        if all(value is not None for value in facts):
            headers[name] = ", ".join(str(value) for value in facts)
    return headers


def usage_reply(usages: Sequence[Usage]) -> UsageReply:
    """The sum: each choice is a job that read the prompt for itself."""
    n_prompt = sum(usage.n_prompt_tokens for usage in usages)
    n_output = sum(usage.n_output_tokens for usage in usages)
    return UsageReply(
        prompt_tokens=n_prompt, completion_tokens=n_output, total_tokens=n_prompt + n_output
    )


def created_s(task: TaskRecord) -> int:
    return task.created_at_ms // 1000
