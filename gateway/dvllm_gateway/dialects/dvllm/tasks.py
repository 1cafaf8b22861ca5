"""Handlers of /api/tasks."""

from collections import OrderedDict

from aiohttp import web

from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.ids import Address, ModelId
from decentralized_vllm.protocol.prompts import chat_prompt
from dvllm_gateway.dialects.dvllm import rendering, schemas
from dvllm_gateway.dialects.dvllm.callers import caller_of
from dvllm_gateway.errors import InvalidRequest, TaskFailed
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.http.replies import json_bytes, json_response
from dvllm_gateway.ids import TaskId, read_task_id
from dvllm_gateway.services.durations import Durations
from dvllm_gateway.services.network import Model
from dvllm_gateway.services.node_choice import writing_node
from dvllm_gateway.services.tasks import TaskRecord, TaskRequest, TaskState

DEFAULT_MAX_TOKENS = 100
MAX_KEPT = 256
MAX_KEPT_BYTES = 16_384  # a large one costs more to keep, and its reader more to send it


class TaskHandlers:
    """`submit_wait_s` is how long a submission waits to be mined before it answers 202."""

    def __init__(self, durations: Durations, *, submit_wait_s: float) -> None:
        self._durations = durations
        self._submit_wait_s = submit_wait_s
        self._rendered = _RenderedTasks()

    async def submit(self, call: Call[schemas.SubmitBody, None]) -> Reply:
        account = caller_of(call).account
        model = await call.core.models.get(ModelId(call.body.model_id))
        node = writing_node(await call.core.network.serving(model.id))
        record = await call.core.tasks.submit(account, _request(call.body, model, node))
        record = await call.core.tasks.wait_submitted(account, record.id, self._submit_wait_s)
        if record.job_id is None and record.state.is_over:
            raise _never_submitted(record)
        reply = rendering.submit_reply(record, self._durations.estimate_s(model))
        return Reply(reply, status=200 if record.job_id is not None else 202)

    async def get(self, call: Call[None, None]) -> web.Response:
        task_id = read_task_id(call.path["taskId"])
        record = await call.core.tasks.get(caller_of(call).account, task_id)
        return self._rendered.reply(record)

    async def list(self, call: Call[None, schemas.TasksQuery]) -> Reply:
        chosen = rendering.task_filter(call.query)
        page = await call.core.tasks.list(caller_of(call).account, chosen)
        items = [rendering.task_item(record) for record in page.tasks]
        return Reply(schemas.TasksReply(tasks=items, total=page.total))


class _RenderedTasks:
    """Replies for the tasks that were read last, each as its record was then: who waits for a task
    reads it again and again. A record never changes; another one is rendered anew.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[TaskId, tuple[TaskRecord, bytes]] = OrderedDict()

    def reply(self, record: TaskRecord) -> web.Response:
        kept = self._kept.get(record.id)
        body = kept[1] if kept is not None and kept[0] is record else self._render(record)
        return json_response(body)

    def _render(self, record: TaskRecord) -> bytes:
        body = json_bytes(rendering.task_reply(record))
        self._kept.pop(record.id, None)  # the newest one stands last
        if len(body) <= MAX_KEPT_BYTES:
            self._kept[record.id] = record, body
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return body


def _request(body: schemas.SubmitBody, model: Model, node: Address | None) -> TaskRequest:
    max_tokens = _max_tokens(body.max_tokens, model)
    parameters = SamplingParameters(max_tokens=max_tokens, temperature=body.temperature)
    document = chat_prompt(body.prompt, parameters)
    return TaskRequest(model.id, document, shown_prompt=body.prompt, node=node)


def _max_tokens(wanted: int | None, model: Model) -> int:
    """Raises InvalidRequest by the name that the field has in this API."""
    limit = None if model.terms is None else model.terms.max_output_tokens
    if wanted is None:
        return DEFAULT_MAX_TOKENS if limit is None else min(DEFAULT_MAX_TOKENS, limit)
    if limit is not None and wanted > limit:
        raise InvalidRequest(f"maxTokens: at most {limit} of this model", field="maxTokens")
    return wanted


def _never_submitted(record: TaskRecord) -> TaskFailed:
    said = rendering.failure_text(record) or f"the task is {TaskState.FAILED}"
    return TaskFailed(said, details=rendering.task_name(record))
