"""POST /v1/completions: raw text or tokens go on, without a chat template."""

from collections.abc import Sequence

from aiohttp import web

from decentralized_vllm.protocol.generation import FinishReason
from decentralized_vllm.protocol.responses import ResponseDocument
from decentralized_vllm.protocol.tools import ToolCall
from dvllm_gateway.dialects.openai import replies
from dvllm_gateway.dialects.openai.callers import account_of
from dvllm_gateway.dialects.openai.echoes import Echoes
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

ID_PREFIX = "cmpl-"


class Completions:
    def __init__(self, options: OpenAiOptions, leftovers: Leftovers) -> None:
        self._options = options
        self._leftovers = leftovers

    async def complete(self, call: Call[CompletionBody, None]) -> Reply | web.StreamResponse:
        meter = await checked_meter(call)
        model = await call.core.models.get(call.body.model_id)
        requests = await placed(call.core.network, completion_requests(call.body, model))
        account, echoes = account_of(call), Echoes(call.body)
        async with started(
            call.core.tasks,
            account,
            requests,
            meter.count,
            count_later=self._leftovers.count_at_end,
        ) as run:
            if call.body.stream:
                frames = TextFrames(call.body, echoes, run)
                return await stream_run(call, run, frames, self._options)
            with waiting():
                answers = await _answers(echoes, run, self._options.sync_wait_s)
        told = _reply(call.body, echoes, answers)
        return Reply(told, headers=task_headers([answer.task for answer in answers]))


async def _answers(echoes: Echoes, run: Run, timeout_s: float) -> Sequence[Answer]:
    if echoes.need_document:
        return await run.answers_with_documents(timeout_s)
    return await run.answers(timeout_s)


def _reply(body: CompletionBody, echoes: Echoes, answers: Sequence[Answer]) -> replies.TextReply:
    first = answers[0].task
    return replies.TextReply(
        id=ID_PREFIX + first.id,
        created=created_s(first),
        model=body.model,
        choices=[_choice(index, echoes, answer) for index, answer in enumerate(answers)],
        usage=usage_reply([answer.usage for answer in answers]),
    )


def _choice(index: int, echoes: Echoes, answer: Answer) -> replies.TextChoice:
    behind = "" if echoes.are_alone else answer.text
    return replies.TextChoice(
        index=index,
        text=echoes.text_before(index, answer.document) + behind,
        logprobs=text_logprobs(echoes.ratings(index, answer.document)),
        finish_reason=_reason(echoes, answer.finish_reason.value),
    )


def _reason(echoes: Echoes, finish_reason: str) -> str:
    """An echo alone ends by its length, whatever the one token behind it is."""
    return FinishReason.LENGTH.value if echoes.are_alone else finish_reason


class TextFrames(Frames):
    def __init__(self, body: CompletionBody, echoes: Echoes, run: Run) -> None:
        self._model = body.model
        self._echoes = echoes
        self._records = run.records
        self.wants_usage = body.wants_usage
        self.wants_document = echoes.need_document
        self.keeps_text = echoes.come_last or echoes.are_alone

    def opening(self, index: int) -> replies.TextReply | None:
        echoed = "" if self._echoes.come_last else self._echoes.text_before(index, None)
        return self.piece(index, echoed) if echoed else None

    def piece(self, index: int, text: str) -> replies.TextReply:
        return self._frame([replies.TextChoice(index=index, text=text)], None)

    def told(
        self, index: int, document: ResponseDocument, kept: str
    ) -> Sequence[replies.TextReply]:
        before = self._echoes.text_before(index, document) if self._echoes.come_last else ""
        choice = replies.TextChoice(
            index=index,
            text=before + ("" if self._echoes.are_alone else kept),
            logprobs=text_logprobs(self._echoes.ratings(index, document)),
        )
        return [self._frame([choice], None)]

    def called(self, index: int, calls: Sequence[ToolCall]) -> replies.TextReply:
        """Never: raw text offers no tools, and a run takes no calls that were not offered."""
        return self.piece(index, "")

    def closing(self, index: int, finish_reason: str) -> replies.TextReply:
        reason = _reason(self._echoes, finish_reason)
        choice = replies.TextChoice(index=index, text="", finish_reason=reason)
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
            model=self._model,
            choices=choices,
            usage=usage,
        )
