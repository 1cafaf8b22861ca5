"""Answers as server-sent events: chunks, the usage if it is wanted, and `[DONE]`.

Log-probabilities come in one chunk, when the answer is whole and its receipt checked; so do calls
of tools, which no node tells before, and the text of an echo of tokens, with the answer behind it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import orjson
from aiohttp import web
from pydantic import BaseModel

from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.responses import ResponseDocument
from decentralized_vllm.protocol.tools import ToolCall
from dvllm_gateway.dialects.openai.errors import OpenAiErrors
from dvllm_gateway.dialects.openai.options import OpenAiOptions
from dvllm_gateway.dialects.openai.rendering import task_headers, usage_reply
from dvllm_gateway.dialects.openai.replies import UsageReply
from dvllm_gateway.dialects.openai.run import Item, Run
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.http.operation import Call
from dvllm_gateway.http.replies import json_bytes
from dvllm_gateway.http.sse import data_frame, stream_events
from dvllm_gateway.services.own_time import waiting
from dvllm_gateway.services.tasks import StreamEnd, TaskRecord

DONE = data_frame(b"[DONE]")
_PLACE_OF_TEXT = "\x00text\x00"


class Frames(Protocol):
    """How one kind of completion spells its chunks; `index` is the choice's."""

    wants_usage: bool
    wants_document: bool
    keeps_text: bool  # for the end, since something has to come before it

    def opening(self, index: int) -> BaseModel | None: ...

    def piece(self, index: int, text: str) -> BaseModel: ...

    def told(self, index: int, document: ResponseDocument, kept: str) -> Sequence[BaseModel]:
        """What only the document tells, and the text that was kept for it.

        Raises TaskFailed for what was not asked for.
        """

    def called(self, index: int, calls: Sequence[ToolCall]) -> BaseModel: ...

    def closing(self, index: int, finish_reason: str) -> BaseModel: ...

    def usage(self, usage: UsageReply) -> BaseModel: ...


async def stream_run(
    call: Call[Any, None], run: Run, frames: Frames, options: OpenAiOptions
) -> web.StreamResponse:
    """Headers go out when the jobs are on chain: until then a failure still has a status."""
    with waiting():
        await run.wait_submitted(options.submit_wait_s)
    written = frames_of(run, frames, call.request_id)
    return await stream_events(call.request, written, headers=task_headers(run.records))


async def frames_of(run: Run, frames: Frames, request_id: str) -> AsyncGenerator[bytes, None]:
    for index in range(len(run.records)):
        opening = frames.opening(index)
        yield _frame(opening) if opening is not None else b": on chain\n\n"
    try:
        async with aclosing(_pieces(run, frames)) as pieces:
            async for piece in pieces:
                yield piece
    except GatewayError as error:
        now_ms = time.time_ns() // 1_000_000
        yield _frame(OpenAiErrors().spell(error, request_id, now_ms).body)
        return
    yield DONE


async def _pieces(run: Run, frames: Frames) -> AsyncGenerator[bytes, None]:
    usages: list[Usage] = []
    kept: list[list[str]] = [[] for _ in run.records]
    moulds = [_Mould(frames.piece(i, _PLACE_OF_TEXT)) for i in range(len(run.records))]
    async with aclosing(run.items()) as items:
        while True:
            with waiting():
                arrived: Item | None = await anext(items, None)
            if arrived is None:
                break
            index, item = arrived
            if not isinstance(item, StreamEnd):
                if frames.keeps_text:
                    kept[index].append(item.text)
                else:
                    yield moulds[index].filled(item.text)
                continue
            usages.append(item.usage)
            if frames.wants_document:
                with waiting():
                    document = await run.document(item.task)
                yield await asyncio.to_thread(_told, frames, index, document, "".join(kept[index]))
            with waiting():
                calls = await run.calls(item)
            if calls:
                yield _frame(frames.called(index, calls))
            yield _frame(frames.closing(index, item.finish_reason.value))
            yield _proof(item.task)
    if frames.wants_usage:
        yield _frame(frames.usage(usage_reply(usages)))


class _Mould:
    """A chunk rendered once, since of thousands of them only the text differs."""

    def __init__(self, chunk: BaseModel) -> None:
        # The last one: before it stands the model's name, which may be any words.
        before, _, after = json_bytes(chunk).rpartition(orjson.dumps(_PLACE_OF_TEXT))
        self._before = b"data: " + before
        self._after = after + b"\n\n"

    def filled(self, text: str) -> bytes:
        return self._before + orjson.dumps(text) + self._after


def _told(frames: Frames, index: int, document: ResponseDocument, kept: str) -> bytes:
    """In a thread: thousands of ratings take a while, in which others are served."""
    return b"".join(map(_frame, frames.told(index, document, kept)))


def _frame(chunk: BaseModel) -> bytes:
    return data_frame(json_bytes(chunk))


def _proof(task: TaskRecord) -> bytes:
    """A comment, which clients skip: what headers tell where there is no stream."""
    facts = "; ".join(f"{name}: {value}" for name, value in task_headers([task]).items())
    return f": {facts}\n\n".encode()
