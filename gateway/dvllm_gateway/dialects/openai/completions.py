"""POST /v1/completions: raw text goes on, without a chat template."""

from collections.abc import Sequence

from aiohttp import web

from decentralized_vllm.protocol.generation import TokenLogprob
from decentralized_vllm.protocol.tools import ToolCall
from dvllm_gateway.dialects.openai import replies
from dvllm_gateway.dialects.openai.callers import account_of
from dvllm_gateway.dialects.openai.features import placed
from dvllm_gateway.dialects.openai.leftovers import Leftovers
from dvllm_gateway.dialects.openai.logprobs import text_logprobs
from dvllm_gateway.dialects.openai.options import OpenAiOptions
from dvllm_gateway.dialects.openai.prompts import completion_requests
from dvllm_gateway.dialects.openai.rendering import created_s, task_headers, usage_reply
from dvllm_gateway.dialects.openai.requests import CompletionBody
from dvllm_gateway.dialects.openai.run import Answer, Run, started
from dvllm_gateway.dialects.openai.streaming import Frames, stream_run
from dvllm_gateway.dialects.openai.tokens import checked_meter
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.services.own_time import waiting
from dvllm_gateway.services.tasks import TaskRecord

ID_PREFIX = "cmpl-"


class Completions:
    def __init__(self, options: OpenAiOptions, leftovers: Leftovers) -> None:
        self._options = options
        self._leftovers = leftovers

    async def complete(self, call: Call[CompletionBody, None]) -> Reply | web.StreamResponse:
        meter = await checked_meter(call)
        model = await call.core.models.get(call.body.model_id)
        requests = await placed(call.core.network, completion_requests(call.body, model))
        account = account_of(call)
        async with started(
            call.core.tasks,
            account,
            requests,
            meter.count,
            count_later=self._leftovers.count_at_end,
        ) as run:
            if call.body.stream:
                frames = TextFrames(call.body, run)
                return await stream_run(call, run, frames, self._options)
            with waiting():
                answers = await _answers(call.body, run, self._options.sync_wait_s)
        return Reply(_reply(call.body, answers), headers=task_headers([a.task for a in answers]))


async def _answers(body: CompletionBody, run: Run, timeout_s: float) -> Sequence[Answer]:
    if body.logprobs is not None:
        return await run.answers_with_documents(timeout_s)
    return await run.answers(timeout_s)


def _echoed(body: CompletionBody, task: TaskRecord) -> str:
    return task.prompt if body.echo else ""


def _reply(body: CompletionBody, answers: Sequence[Answer]) -> replies.TextReply:
    first = answers[0].task
    choices = [
        replies.TextChoice(
            index=index,
            text=_echoed(body, answer.task) + answer.text,
            logprobs=text_logprobs(answer.document.logprobs if answer.document else None),
            finish_reason=answer.finish_reason.value,
        )
        for index, answer in enumerate(answers)
    ]
    return replies.TextReply(
        id=ID_PREFIX + first.id,
        created=created_s(first),
        model=body.model,
        choices=choices,
        usage=usage_reply([answer.usage for answer in answers]),
    )


class TextFrames(Frames):
    def __init__(self, body: CompletionBody, run: Run) -> None:
        self._body = body
        self._records = run.records
        self.wants_usage = body.wants_usage
        self.wants_logprobs = body.logprobs is not None

    def opening(self, index: int) -> replies.TextReply | None:
        echoed = _echoed(self._body, self._records[index])
        return self.piece(index, echoed) if echoed else None

    def piece(self, index: int, text: str) -> replies.TextReply:
        return self._frame([replies.TextChoice(index=index, text=text)], None)

    def rated(self, index: int, tokens: Sequence[TokenLogprob]) -> replies.TextReply:
        choice = replies.TextChoice(index=index, text="", logprobs=text_logprobs(tokens))
        return self._frame([choice], None)

    def called(self, index: int, calls: Sequence[ToolCall]) -> replies.TextReply:
        """Never: raw text offers no tools, and a run takes no calls that were not offered."""
        return self.piece(index, "")

    def closing(self, index: int, finish_reason: str) -> replies.TextReply:
        choice = replies.TextChoice(index=index, text="", finish_reason=finish_reason)
        return self._frame([choice], None)

    def usage(self, usage: replies.UsageReply) -> replies.TextReply:
        return self._frame([], usage)

    def _frame(
        self, choices: list[replies.TextChoice], usage: replies.UsageReply | None
    ) -> replies.TextReply:
        first = self._records[0]
        return replies.TextReply(
            id=ID_PREFIX + first.id,
            created=created_s(first),
            model=self._body.model,
            choices=choices,
            usage=usage,
        )
