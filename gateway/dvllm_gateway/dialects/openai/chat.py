"""POST /v1/chat/completions."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from decentralized_vllm.protocol.responses import ResponseDocument
from decentralized_vllm.protocol.tools import ToolCall
from dvllm_gateway.dialects.openai import replies
from dvllm_gateway.dialects.openai.callers import account_of
from dvllm_gateway.dialects.openai.features import placed
from dvllm_gateway.dialects.openai.leftovers import Leftovers
from dvllm_gateway.dialects.openai.logprobs import chat_logprobs
from dvllm_gateway.dialects.openai.options import OpenAiOptions
from dvllm_gateway.dialects.openai.prompts import chat_requests
from dvllm_gateway.dialects.openai.rendering import created_s, task_headers, usage_reply
from dvllm_gateway.dialects.openai.requests import ChatBody
from dvllm_gateway.dialects.openai.run import Answer, Run, started
from dvllm_gateway.dialects.openai.streaming import Frames, stream_run
from dvllm_gateway.dialects.openai.tokens import checked_meter
from dvllm_gateway.dialects.openai.tools import call_deltas, call_replies
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.services.own_time import waiting
from dvllm_gateway.services.tasks import TaskRecord

ID_PREFIX = "chatcmpl-"


class Chat:
    def __init__(self, options: OpenAiOptions, leftovers: Leftovers) -> None:
        self._options = options
        self._leftovers = leftovers

    async def complete(self, call: Call[ChatBody, None]) -> Reply | web.StreamResponse:
        meter = await checked_meter(call)
        model = await call.core.models.get(call.body.model_id)
        asked = chat_requests(call.body, model, default_max_tokens=self._options.default_max_tokens)
        requests = await placed(call.core.network, asked)
        account = account_of(call)
        async with started(
            call.core.tasks,
            account,
            requests,
            meter.count,
            count_later=self._leftovers.count_at_end,
        ) as run:
            if call.body.stream:
                frames = ChatFrames(call.body, run)
                return await stream_run(call, run, frames, self._options)
            with waiting():
                answers = await _answers(call.body, run, self._options.sync_wait_s)
        reply = await reply_of(call.body, answers)
        return Reply(reply, headers=task_headers([a.task for a in answers]))


async def _answers(body: ChatBody, run: Run, timeout_s: float) -> Sequence[Answer]:
    if body.logprobs:
        return await run.answers_with_documents(timeout_s)
    return await run.answers(timeout_s)


async def reply_of(body: ChatBody, answers: Sequence[Answer]) -> replies.ChatReply:
    """With ratings in a thread, so that others are served meanwhile: each token has six of them."""
    if body.logprobs:
        return await asyncio.to_thread(_reply, body, answers)
    return _reply(body, answers)


def _reply(body: ChatBody, answers: Sequence[Answer]) -> replies.ChatReply:
    first = answers[0].task
    choices = [
        replies.ChatChoice(
            index=index,
            message=_message(answer),
            logprobs=chat_logprobs(answer.document.logprobs if answer.document else None),
            finish_reason=answer.finish_reason.value,
        )
        for index, answer in enumerate(answers)
    ]
    return replies.ChatReply(
        id=ID_PREFIX + first.id,
        created=created_s(first),
        model=body.model,
        choices=choices,
        usage=usage_reply([answer.usage for answer in answers]),
    )


def _message(answer: Answer) -> replies.ChatMessage:
    if not answer.calls:
        return replies.ChatMessage(content=answer.text)
    return replies.CallingMessage(
        content=answer.text or None, tool_calls=call_replies(answer.calls)
    )


class ChatFrames(Frames):
    def __init__(self, body: ChatBody, run: Run) -> None:
        self._model = body.model
        self._first: TaskRecord = run.records[0]
        self.wants_usage = body.wants_usage
        self.wants_document = bool(body.logprobs)
        self.keeps_text = False

    def opening(self, index: int) -> replies.ChatChunk:
        return self._chunk(index, replies.OpeningDelta(content=""))

    def piece(self, index: int, text: str) -> replies.ChatChunk:
        return self._chunk(index, replies.TextDelta(content=text))

    def told(
        self, index: int, document: ResponseDocument, kept: str
    ) -> Sequence[replies.ChatChunk]:
        choice = replies.ChatChunkChoice(
            index=index,
            delta=replies.TextDelta(content=kept),
            logprobs=chat_logprobs(document.logprobs or ()),
        )
        return [self._frame([choice], None)]

    def called(self, index: int, calls: Sequence[ToolCall]) -> replies.ChatChunk:
        return self._chunk(index, replies.CallingDelta(tool_calls=call_deltas(calls)))

    def closing(self, index: int, finish_reason: str) -> replies.ChatChunk:
        return self._chunk(index, replies.ClosingDelta(), finish_reason)

    def usage(self, usage: replies.UsageReply) -> replies.ChatChunk:
        return self._frame([], usage)

    def _chunk(
        self, index: int, delta: replies.Delta, finish_reason: str | None = None
    ) -> replies.ChatChunk:
        choice = replies.ChatChunkChoice(index=index, delta=delta, finish_reason=finish_reason)
        return self._frame([choice], None)

    def _frame(
        self, choices: list[replies.ChatChunkChoice], usage: replies.UsageReply | None
    ) -> replies.ChatChunk:
        return replies.ChatChunk(
            id=ID_PREFIX + self._first.id,
            created=created_s(self._first),
            model=self._model,
            choices=choices,
            usage=usage,
        )
