"""What a dialect is made of: operations, and how it spells errors. Pure data; see `routing`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from aiohttp import web
from pydantic import BaseModel

from dvllm_gateway.errors import GatewayError
from dvllm_gateway.http.websocket import SocketServer
from dvllm_gateway.services.ports import Core, LimitState, Rate
from dvllm_gateway.services.principals import Principal, Scope

MAX_JSON_BYTES = 1_000_000

Body = TypeVar("Body")
Query = TypeVar("Query")


@dataclass(frozen=True, slots=True)
class Call(Generic[Body, Query]):
    """One checked request, as a handler gets it.

    `principal` is None on public operations without credentials. `request` is for handlers that
    stream; others need it not.
    """

    core: Core
    principal: Principal | None
    body: Body
    query: Query
    path: Mapping[str, str]
    request: web.Request
    request_id: str


@dataclass(frozen=True, slots=True)
class Reply:
    body: BaseModel | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


AnyCall = Call[Any, Any]
Handler = Callable[[AnyCall], Awaitable[Reply | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method and path. `scope` None is public; `body` and `query` are strict pydantic models.

    `spends` operations cost money, by their tasks and by nothing else: their account's inference
    budget counts, and they honour Idempotency-Key. `streams` tells of a body whether it asks for a
    stream. `replies` are the models of the statuses it answers with, for the OpenAPI document;
    errors are added by the dialect. `reads_body` False leaves the body to the handler: `body` then
    only documents a multipart form.
    """

    name: str
    method: str
    path: str
    handler: Handler
    rate_class: str
    summary: str
    scope: Scope | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    replies: Mapping[int, type[BaseModel] | None] = field(default_factory=dict)
    spends: bool = False
    reads_body: bool = True
    max_body_bytes: int = MAX_JSON_BYTES
    streams: Callable[[Any], bool] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class SpelledError:
    status: int
    body: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)


class ErrorSpeller(Protocol):
    """A dialect's words for every kind of error."""

    model: type[BaseModel]  # of the error body, for the OpenAPI document

    def spell(self, error: GatewayError, request_id: str, now_ms: int) -> SpelledError: ...


def no_further_headers(_: LimitState) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Dialect:
    """`rates` says how often a class may be called; `extra_routes` adds what is no operation.

    `socket` is served at `/ws` of every mount, at `/` of the dialect's Host and of its socket port.

    Callers of the classes in `by_address` are counted by their address even when they say who they
    are; so are all calls that fail before that, and calls of what is not served, both as
    `fallback_class`. `limit_headers` adds the dialect's own spelling of the tightest limit.
    """

    name: str
    title: str
    operations: Sequence[Operation]
    errors: ErrorSpeller
    rates: Mapping[str, Rate]
    socket: SocketServer | None = None
    extra_routes: Callable[[web.Application, Core], None] | None = None
    by_address: frozenset[str] = frozenset({"auth"})
    fallback_class: str = "status"
    limit_headers: Callable[[LimitState], Mapping[str, str]] = no_further_headers
