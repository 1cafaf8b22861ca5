"""A made-up API, for tests of what every API has."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from dvllm_gateway.errors import GatewayError, NetworkUnavailable, NoCapacity, TaskFailed
from dvllm_gateway.http.multipart import FormField, form_parts
from dvllm_gateway.http.operation import (
    AnyCall,
    Dialect,
    ErrorSpeller,
    Operation,
    Reply,
    SpelledError,
)
from dvllm_gateway.http.sse import data_frame, stream_events
from dvllm_gateway.http.websocket import SocketClient, SocketServer
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.principals import Scope

ALICE = AccountId("alice")
SECRET_TEXT = "the text of an exception"
MAX_FORM_BYTES = 200_000

STATUSES = {
    "invalid_request": 400,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "method_not_allowed": 405,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "rate_limited": 429,
    "no_capacity": 503,
    "network_unavailable": 502,
    "task_failed": 502,
    "internal": 500,
}


class ToyError(BaseModel):
    oops: str
    said: str
    request: str


class ToyErrors(ErrorSpeller):
    model = ToyError

    def spell(self, error: GatewayError, request_id: str, now_ms: int) -> SpelledError:
        body = ToyError(oops=error.kind.value, said=error.message, request=request_id)
        return SpelledError(STATUSES[error.kind.value], body)


class SumBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    numbers: list[int] = Field(max_length=100_000)
    nested: Any = None


class SumReply(BaseModel):
    total: int
    name_of_field: int = Field(0, serialization_alias="nameOfField")


class ThingsQuery(BaseModel):
    limit: int = Field(10, ge=1, le=100)


class ThingReply(BaseModel):
    name: str
    limit: int


class FormBody(BaseModel):
    title: str
    file: str = Field(json_schema_extra={"format": "binary"})


class FormReply(BaseModel):
    fields: dict[str, str]
    files: dict[str, int]


@dataclass
class Toy:
    """What happened, and what is to happen."""

    n_sums: int = 0
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    frames: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    was_closed: asyncio.Event = field(default_factory=asyncio.Event)
    clients: list[SocketClient] = field(default_factory=list)

    async def add(self, call: AnyCall) -> Reply:
        self.n_sums += 1
        return Reply(SumReply(total=sum(call.body.numbers)), headers={"X-Toy": "yes"})

    async def add_later(self, call: AnyCall) -> Reply:
        self.n_sums += 1
        try:
            await self.may_end.wait()
        finally:
            self.was_closed.set()
        return Reply(SumReply(total=sum(call.body.numbers)))

    async def add_and_lose(self, call: AnyCall) -> Reply:
        self.n_sums += 1
        if self.may_end.is_set():
            return Reply(SumReply(total=sum(call.body.numbers)))
        raise NetworkUnavailable("the answer is on its way", task_created=True)

    async def add_and_fail(self, call: AnyCall) -> Reply:
        self.n_sums += 1
        raise TaskFailed("there is no answer", task_created=True)

    async def refuse(self, call: AnyCall) -> Reply:
        self.n_sums += 1
        raise NoCapacity("not now", retry_after_s=7)

    async def get_thing(self, call: AnyCall) -> Reply:
        return Reply(ThingReply(name=call.path["name"], limit=call.query.limit))

    async def break_down(self, call: AnyCall) -> Reply:
        raise RuntimeError(SECRET_TEXT)

    async def stream(self, call: AnyCall) -> web.StreamResponse:
        return await stream_events(call.request, self._frames(), ping_after_s=0.2)

    async def pour(self, call: AnyCall) -> web.StreamResponse:
        self.n_sums += 1
        return await self.stream(call)

    async def take_form(self, call: AnyCall) -> Reply:
        fields: dict[str, str] = {}
        files: dict[str, int] = {}
        async for part in form_parts(call.request, max_bytes=MAX_FORM_BYTES):
            if isinstance(part, FormField):
                fields[part.name] = part.value
            else:
                files[part.file_name] = sum([len(piece) async for piece in part.pieces])
        return Reply(FormReply(fields=fields, files=files), status=201)

    async def forget(self, call: AnyCall) -> Reply:
        return Reply(None, status=204)

    def converse(self, client: SocketClient) -> "Parrot":
        self.clients.append(client)
        return Parrot(client)

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        try:
            while (frame := await self.frames.get()) is not None:
                if frame == b"break":
                    raise RuntimeError(SECRET_TEXT)
                yield data_frame(frame)
        finally:
            self.was_closed.set()


class Parrot:
    """A conversation that says everything again."""

    def __init__(self, client: SocketClient) -> None:
        self._client = client

    async def opened(self, request: web.Request) -> None:
        self._client.send(b'{"hello":true}')

    async def received(self, frame: Mapping[str, Any]) -> None:
        if "refuse" in frame:
            raise NoCapacity("not now")
        self._client.send(str(dict(frame)).encode())

    def refusal(self, error: GatewayError) -> bytes:
        return b'{"oops":"' + error.kind.value.encode() + b'"}'

    def closed(self) -> None: ...


def toy_dialect(
    toy: Toy,
    *,
    name: str = "toy",
    rates: Mapping[str, Rate] | None = None,
    socket: SocketServer | None = None,
) -> Dialect:
    given = {"status": Rate(1000, 60), "auth": Rate(20, 60), **(rates or {})}

    def operation(name: str, method: str, path: str, handler: Any, **more: Any) -> Operation:
        return Operation(name, method, path, handler, "status", f"To {name}", **more)

    spending = {"scope": Scope.INFER, "body": SumBody, "spends": True, "replies": {200: SumReply}}
    return Dialect(
        name=name,
        title="A toy",
        operations=(
            operation("add", "POST", f"/{name}s/sums", toy.add, **spending),
            operation("addLater", "POST", f"/{name}s/later", toy.add_later, **spending),
            operation("addAndLose", "POST", f"/{name}s/lost", toy.add_and_lose, **spending),
            operation("addAndFail", "POST", f"/{name}s/failed", toy.add_and_fail, **spending),
            operation("refuse", "POST", f"/{name}s/refused", toy.refuse, **spending),
            operation(
                "pour", "POST", f"/{name}s/poured", toy.pour, **spending, streams=lambda _: True
            ),
            operation(
                "getThing",
                "GET",
                f"/{name}s/things/{{name:.+}}",
                toy.get_thing,
                query=ThingsQuery,
                replies={200: ThingReply},
            ),
            operation("breakDown", "GET", f"/{name}s/broken", toy.break_down, replies={200: None}),
            operation("stream", "GET", f"/{name}s/stream", toy.stream, streams=lambda _: True),
            operation(
                "takeForm",
                "POST",
                f"/{name}s/form",
                toy.take_form,
                body=FormBody,
                reads_body=False,
                replies={201: FormReply},
            ),
            operation("forget", "DELETE", f"/{name}s/things", toy.forget, replies={204: None}),
        ),
        errors=ToyErrors(),
        rates=given,
        socket=socket,
    )
