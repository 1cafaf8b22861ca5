"""A server that speaks vLLM's dialect and misbehaves on demand, as no real one can be told to."""

import asyncio
import base64
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class FakeVllm:
    """Answers "a b c"; `behaviour` says what goes wrong, `model` what it claims to serve.

    One that `is_pooling` makes vectors instead: of a text's length beside a one.
    """

    def __init__(self) -> None:
        self.model = "m"
        self.behaviour = "well"
        self.is_pooling = False
        self.bodies: list[dict[str, Any]] = []
        self.n_open = 0
        self.url = ""

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/version", self._version)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/embeddings", self._embed)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(status=503 if self.behaviour == "sick" else 200)

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "0.32.0"})

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": self.model, "max_model_len": 100}]})

    async def _tokenize(self, request: web.Request) -> web.Response:
        if self.is_pooling:
            n_characters = len((await request.json())["prompt"])
            return web.json_response({"count": n_characters, "max_model_len": 500})
        return web.json_response({"count": 90, "max_model_len": 100})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if self.is_pooling:
            return web.json_response({"detail": "Not Found"}, status=404)
        body = await request.json()
        self.bodies.append(body)
        if body["max_tokens"] > 100:
            return web.json_response({"error": {"message": "context"}}, status=400)
        if self.behaviour == "overloaded":
            return web.Response(status=503, text="try later")
        if self.behaviour == "quote":
            return web.json_response({"error": self._quoting(body)}, status=400)
        if self.behaviour == "silent":
            await asyncio.Event().wait()
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        self.n_open += 1
        try:
            if self.behaviour == "quote in the stream":
                await reply.write(self._event(error=self._quoting(body)))
            await self._stream(reply, body["max_tokens"])
        finally:
            self.n_open -= 1
        return reply

    def _quoting(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body.get("prompt") or body["messages"]
        return {"message": f"cannot use {prompt}", "type": "BadRequestError", "code": 400}

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        if not self.is_pooling:
            return web.json_response({"detail": "Not Found"}, status=404)
        body = await request.json()
        self.bodies.append(body)
        texts = body["input"]
        if self.behaviour == "overloaded":
            return web.Response(status=503, text="try later")
        if any(len(text) > 500 or text == "refused" for text in texts):
            return web.json_response({"error": {"message": "context"}}, status=400)
        self.n_open += 1
        try:
            if self.behaviour == "silent":
                await asyncio.Event().wait()
        finally:
            self.n_open -= 1
        if self.behaviour == "drop":
            assert request.transport is not None
            request.transport.abort()
        if self.behaviour == "fewer":
            texts = texts[1:]
        return web.json_response(self._embedded(texts))

    def _embedded(self, texts: list[str]) -> dict[str, Any]:
        vectors = [base64.b64encode(struct.pack("<2f", len(text), 1)) for text in texts]
        data = [{"index": n, "embedding": each.decode()} for n, each in enumerate(vectors)]
        usage = {"prompt_tokens": sum(map(len, texts))}
        return {"model": self.model, "data": data, "usage": usage}

    async def _stream(self, reply: web.StreamResponse, max_tokens: int) -> None:
        await reply.write(self._event(prompt_token_ids=[1, 2, 3], choices=[{"delta": {}}]))
        await reply.write(self._token("a", [1]))
        await self._go_wrong(reply)
        await reply.write(self._token("b", [2]))
        await reply.write(self._token("c", [3], "length" if max_tokens == 3 else "stop"))
        await reply.write(self._event(usage={"prompt_tokens": 3, "completion_tokens": 3}))
        await reply.write(b"data: [DONE]\n\n")

    async def _go_wrong(self, reply: web.StreamResponse) -> None:
        if self.behaviour == "hang":
            await asyncio.Event().wait()
        if self.behaviour == "drop":
            assert reply._req is not None and reply._req.transport is not None
            reply._req.transport.abort()
        if self.behaviour == "end early":
            await reply.write_eof()
        if self.behaviour == "fail":
            await reply.write(b'data: {"error": {"message": "EngineCore died"}}\n\n')
        if self.behaviour == "endless line":
            while True:
                await reply.write(b"x" * 1_000_000)

    def _event(self, **fields: Any) -> bytes:
        event = {"model": self.model, "choices": [], **fields}
        return b"data: " + json.dumps(event).encode() + b"\n\n"

    def _token(self, text: str, token_ids: list[int], finish: str | None = None) -> bytes:
        choice = {
            "text": text,
            "delta": {"content": text},
            "token_ids": token_ids,
            "finish_reason": finish,
        }
        return self._event(choices=[choice])


@asynccontextmanager
async def running_fake() -> AsyncIterator[FakeVllm]:
    fake = FakeVllm()
    runner = web.AppRunner(fake.application(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        await web.SockSite(runner, listener).start()
        fake.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield fake
        finally:
            await runner.cleanup()
