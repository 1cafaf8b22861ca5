"""A vLLM server over HTTP: is it well, what does it serve, one streamed answer, and vectors."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from decentralized_vllm.protocol.errors import (
    DvllmError,
    EngineRefused,
    EngineUnavailable,
    SettingError,
)
from decentralized_vllm.protocol.generation import GenerationChunk, GenerationRequest
from dvllm_worker.engines.sse import EventTooLong, SseParser
from dvllm_worker.engines.vllm_embedding import (
    EMBEDDINGS_PATH,
    Embedded,
    embedding_body,
    max_reply_bytes,
    read_embedded,
)
from dvllm_worker.engines.vllm_errors import own_words, told_of_reply
from dvllm_worker.engines.vllm_messages import (
    REFUSAL_STATUSES,
    AnswerReader,
    WrongModel,
    completion_body,
    completion_path,
    prompt_fields,
)
from dvllm_worker.engines.vllm_tool_calls import call_reader

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
SHORT_CALL_TIMEOUT_S = 30.0
MAX_REPLY_BYTES = 1 << 20
KEY_STATUSES = frozenset({401, 403})
GONE_STATUS = 404  # of the model by its name, or of the whole kind of request


M = TypeVar("M", bound=BaseModel)


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


class _Version(BaseModel):
    version: str = "unknown"


class _Count(BaseModel):
    count: int
    max_model_len: int


class VllmApi:
    """One server, one model. Made inside a running event loop; `close` ends every answer."""

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        api_key: str | None,
        read_timeout_s: float,
        is_length_one: bool = True,
    ) -> None:
        self._base_url = base_url
        self._model = model
        self._is_length_one = is_length_one  # how vectors of the model are
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._open_replies: set[aiohttp.ClientResponse] = set()
        self._http = aiohttp.ClientSession(
            headers=headers,
            # A kept connection may be closed by the server just as a request is written to it.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=CONNECT_TIMEOUT_S, sock_read=read_timeout_s
            ),
        )

    async def close(self) -> None:
        for reply in list(self._open_replies):
            reply.close()  # wakes whoever reads it, which closing the session alone does not
        await self._http.close()

    async def is_well(self) -> bool:
        try:
            async with self._call("GET", "/health", timeout_s=SHORT_CALL_TIMEOUT_S) as reply:
                return reply.status == 200
        except EngineUnavailable:
            return False

    async def version(self) -> str:
        return _parse(_Version, await self._read_reply("GET", "/version")).version

    async def check_model(self) -> None:
        """Raises SettingError if the server serves other models only."""
        models = _parse(_Models, await self._read_reply("GET", "/v1/models")).data
        names = [model.id for model in models]
        if self._model not in names:
            served = ", ".join(names)[:400] or "nothing"
            raise SettingError(
                "engine.served_model",
                f"the server at {self._base_url} serves {served}, not {self._model}",
            )

    async def room_for_answer(self, request: GenerationRequest) -> int:
        """Tokens left of the context behind the prompt; 0 or less if it does not fit at all."""
        if request.token_ids is not None:  # which no server counts, but any tells its context
            count = await self._count({"prompt": "hello"})
            return count.max_model_len - len(request.token_ids)
        return await self._room_behind(prompt_fields(request))

    async def fits(self, text: str) -> bool:
        """Whether a vector can be made of it: it may fill the context to the last token."""
        return await self._room_behind({"prompt": text}) >= 0

    async def _room_behind(self, fields: dict[str, Any]) -> int:
        count = await self._count(fields)
        return count.max_model_len - count.count

    async def _count(self, fields: dict[str, Any]) -> _Count:
        body = {"model": self._model, **fields}
        return _parse(_Count, await self._read_reply("POST", "/tokenize", body))

    async def answer(
        self,
        request: GenerationRequest,
        max_tokens: int,
        on_sign: Callable[[], None],
        *,
        is_ours: bool = False,
    ) -> AsyncGenerator[GenerationChunk, None]:
        """Streams one answer; `on_sign` is called whenever bytes arrive.

        Errors of a request that `is_ours` have the server's words: the prompt is nobody's secret.
        Raises EngineRefused (the server rejects the request), EngineUnavailable.
        """
        reader = AnswerReader(
            self._model,
            request.parameters.logprobs,
            call_reader(request),
            is_prompt_rated=request.parameters.prompt_logprobs,
        )
        parser = SseParser()
        body = completion_body(request, self._model, max_tokens)
        async with self._call("POST", completion_path(request), body) as reply:
            await _check_status(reply, is_ours=is_ours)
            async for chunk in reply.content.iter_any():
                on_sign()
                for data in parser.feed(chunk):
                    if data != b"[DONE]" and (piece := _read_event(reader, data)):
                        yield piece

    async def embed(self, inputs: Sequence[str], *, is_ours: bool = False) -> Embedded:
        """Raises EngineRefused (a text is too long, or empty to the model), EngineUnavailable."""
        body = embedding_body(inputs, self._model)
        async with self._call("POST", EMBEDDINGS_PATH, body) as reply:
            await _check_status(reply, is_ours=is_ours)
            data = await _read(reply, max_reply_bytes(len(inputs)))
        return read_embedded(data, self._model, len(inputs), is_length_one=self._is_length_one)

    async def _read_reply(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> bytes:
        async with self._call(method, path, body, timeout_s=SHORT_CALL_TIMEOUT_S) as reply:
            await _check_status(reply, is_ours=body is None)
            return await _read(reply, MAX_REPLY_BYTES)

    @asynccontextmanager
    async def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Errors of the connection, also while the reply is read, become EngineUnavailable."""
        try:
            async with asyncio.timeout(timeout_s):
                async with self._http.request(
                    method, self._base_url + path, json=body, allow_redirects=False
                ) as reply:
                    self._open_replies.add(reply)
                    try:
                        yield reply
                    finally:
                        self._open_replies.discard(reply)
        except (aiohttp.ClientError, TimeoutError, EventTooLong, ConnectionError) as error:
            what = str(error) or type(error).__name__
            raise EngineUnavailable(f"the vLLM server did not answer: {what}") from error


async def _check_status(reply: aiohttp.ClientResponse, *, is_ours: bool) -> None:
    if reply.status == 200:
        return
    body = await _read(reply, MAX_REPLY_BYTES)
    log.debug("engine_said", extra={"status": reply.status, "text": own_words(body)})
    text = own_words(body) if is_ours else told_of_reply(body)
    message = f"the vLLM server says {reply.status}: {text}"
    if reply.status in REFUSAL_STATUSES:
        raise EngineRefused(message)
    if reply.status in KEY_STATUSES:
        raise SettingError("engine.api_key", message)
    if reply.status == GONE_STATUS:
        raise WrongModel(message)
    raise EngineUnavailable(message)


def _read_event(reader: AnswerReader, data: bytes) -> GenerationChunk | None:
    try:
        return reader.read(data)
    except DvllmError:
        log.debug("engine_said", extra={"text": own_words(data)})
        raise


async def _read(reply: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    body = b""
    async for chunk in reply.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            raise EngineUnavailable(f"the vLLM server's reply is longer than {max_bytes} bytes")
    return body


def _parse(kind: type[M], reply: bytes) -> M:
    try:
        return kind.model_validate_json(reply)
    except ValidationError as error:
        raise EngineUnavailable("the vLLM server's reply is not what vLLM says") from error
