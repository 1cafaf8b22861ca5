"""What `dvllm submit` and `dvllm embed` do once they have their texts."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from decentralized_vllm.aio import AsyncClient
from decentralized_vllm.cli.opening import opened
from decentralized_vllm.cli.output import remark, show
from decentralized_vllm.cli.render import answer_lines, task_fields, task_lines
from decentralized_vllm.cli.running import fail, run
from decentralized_vllm.cli.token_ids import token_ids_in
from decentralized_vllm.cli.tool_files import tool_options
from decentralized_vllm.cli.waiting import wait_visibly
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.units import format_tokens
from decentralized_vllm.requester.inputs import Prompt
from decentralized_vllm.requester.tasks import Task

_OF_THE_TASK = ("max_tokens", "temperature", "top_p", "top_k", "stop", "seed", "max_fee")

Submit = Callable[[AsyncClient, str], Awaitable[Task]]


def ask_and_show(
    text: str, model: str | None, *, wait: bool, as_json: bool, options: dict[str, Any]
) -> None:
    parameters = {name: options.pop(name) for name in _OF_THE_TASK}
    try:
        tools = tool_options(options.pop("tools"), options.pop("tool_choice"))
        prompt = _prompt(text, is_token_ids=options.pop("token_ids"), has_tools=bool(tools))
    except SettingError as error:  # before anybody is asked for a passphrase
        fail(error, as_json=as_json)

    async def submit(client: AsyncClient, model_id: str) -> Task:
        return await client.submit_task(prompt, model_id, **parameters, **tools)

    _submit_and_show(submit, model, wait=wait, as_json=as_json, options=options)


def _prompt(text: str, *, is_token_ids: bool, has_tools: bool) -> Prompt:
    if is_token_ids and has_tools:
        raise SettingError("tools", "come with text, not with token ids")
    return token_ids_in(text) if is_token_ids else text


def embed_and_show(
    texts: Sequence[str], model: str | None, *, as_json: bool, options: dict[str, Any]
) -> None:
    max_fee = options.pop("max_fee")

    async def submit(client: AsyncClient, model_id: str) -> Task:
        return await client.submit_embeddings(texts, model_id, max_fee=max_fee)

    _submit_and_show(submit, model, wait=True, as_json=as_json, options=options)


def _submit_and_show(
    submit: Submit, model: str | None, *, wait: bool, as_json: bool, options: dict[str, Any]
) -> None:
    timeout_s = options.pop("timeout")

    async def work() -> Task:
        async with opened(options) as client:
            task = await submit(client, model or await _only_model(client))
            remark(f"job {task.id}: {format_tokens(task.escrow_wei)} tokens in escrow")
            return await wait_visibly(client, task, timeout_s) if wait else task

    task = run(work(), as_json=as_json, on_interrupt="a submitted job goes on; see `dvllm jobs`")
    show(task_fields(task), answer_lines(task) if wait else [str(task.id)], as_json=as_json)
    if wait and not as_json:
        for line in task_lines(task):
            remark(line)


async def _only_model(client: AsyncClient) -> str:
    models = await client.list_models()
    if len(models) == 1:
        return models[0].id
    names = ", ".join(model.id for model in models) or "none"
    raise SettingError("model", f"say which one with --model; on offer: {names}")
