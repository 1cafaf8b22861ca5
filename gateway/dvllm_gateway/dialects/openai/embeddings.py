"""POST /v1/embeddings: one task for all inputs of a call."""

import asyncio
import base64
import struct

from decentralized_vllm.protocol.embeddings import Vector, read_vectors
from decentralized_vllm.protocol.errors import InvalidResponse
from decentralized_vllm.protocol.ids import ModelId
from decentralized_vllm.requester.answers import LONG_BYTES
from dvllm_gateway.dialects.openai import replies
from dvllm_gateway.dialects.openai.callers import account_of
from dvllm_gateway.dialects.openai.features import placed
from dvllm_gateway.dialects.openai.leftovers import Leftovers
from dvllm_gateway.dialects.openai.options import OpenAiOptions
from dvllm_gateway.dialects.openai.prompts import embedding_requests
from dvllm_gateway.dialects.openai.rendering import task_headers, usage_reply
from dvllm_gateway.dialects.openai.requests import EmbeddingBody
from dvllm_gateway.dialects.openai.run import Answer, started
from dvllm_gateway.dialects.openai.tokens import checked_meter
from dvllm_gateway.errors import TaskFailed
from dvllm_gateway.http.operation import Call, Reply
from dvllm_gateway.services.own_time import waiting


class Embeddings:
    def __init__(self, options: OpenAiOptions, leftovers: Leftovers) -> None:
        self._options = options
        self._leftovers = leftovers

    async def embed(self, call: Call[EmbeddingBody, None]) -> Reply:
        meter = await checked_meter(call)
        await call.core.models.get(ModelId(call.body.model))
        requests = await placed(call.core.network, embedding_requests(call.body))
        async with started(
            call.core.tasks,
            account_of(call),
            requests,
            meter.count,
            count_later=self._leftovers.count_at_end,
        ) as run:
            with waiting():
                (answer,) = await run.answers(self._options.sync_wait_s)
        reply = await reply_of(call.body, answer)
        return Reply(reply, headers=task_headers([answer.task]))


async def reply_of(body: EmbeddingBody, answer: Answer) -> replies.EmbeddingsReply:
    """Of many numbers in a thread, so that others are served meanwhile. Raises TaskFailed."""
    if len(answer.text) > LONG_BYTES:
        return await asyncio.to_thread(_reply, body, answer)
    return _reply(body, answer)


def _reply(body: EmbeddingBody, answer: Answer) -> replies.EmbeddingsReply:
    try:
        vectors = read_vectors(answer.text, len(body.input))
    except InvalidResponse as error:
        told = f"the node's answer is none: {error.message}"
        raise TaskFailed(told, task_created=True) from error
    is_packed = body.encoding_format == "base64"
    data = [
        replies.EmbeddingItem(index=index, embedding=_packed(v) if is_packed else list(v))
        for index, v in enumerate(vectors)
    ]
    return replies.EmbeddingsReply(data=data, model=body.model, usage=usage_reply([answer.usage]))


def _packed(vector: Vector) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
