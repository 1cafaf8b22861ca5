"""Makes a dialect's list of operations an application: one path for every request.

read the body → who asks → limits → scope → check the body → do it, once for an Idempotency-Key.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel

from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest
from dvllm_gateway.errors import InvalidRequest, Unauthenticated
from dvllm_gateway.http.bodies import read_whole, require_content_type
from dvllm_gateway.http.door import DOOR_OF, Door, DoorOf, RawHandler
from dvllm_gateway.http.openapi import openapi_document
from dvllm_gateway.http.operation import AnyCall, Call, Dialect, Operation
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.http.rates import RateDesk
from dvllm_gateway.http.replays import Replays
from dvllm_gateway.http.toll import Toll
from dvllm_gateway.http.validation import body_of, query_of
from dvllm_gateway.http.visit import VISIT
from dvllm_gateway.services.identity import Credentials
from dvllm_gateway.services.own_time import waiting
from dvllm_gateway.services.ports import Core
from dvllm_gateway.services.principals import Principal, Scope

CONTENT_DIGEST = "X-Content-Digest"
OPENAPI_PATH = "/openapi.json"
SOCKET_PATH = "/ws"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST_OF_NOTHING = body_digest(b"")


class Service:
    """A dialect over a core: the handlers of its operations, and the door they stand behind."""

    def __init__(self, core: Core, dialect: Dialect, options: HttpOptions) -> None:
        self.dialect = dialect
        self._core = core
        self._rates = RateDesk(dialect, core.limits)
        self.door = Door(dialect, self._rates, options)
        self._replays = Replays(core.idempotency, self.door, options.background)
        self._toll = None if core.payments is None else Toll(core.payments)

    def handler(self, operation: Operation) -> RawHandler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(operation, request)

        return handle

    def openapi_handler(self) -> RawHandler:
        document = openapi_document(self.dialect)

        async def handle(request: web.Request) -> web.StreamResponse:
            visit = request[VISIT]
            visit.operation = "openapi"
            await self._rates.count_other(visit)
            return web.Response(body=document, content_type="application/json")

        return handle

    async def _serve(self, operation: Operation, request: web.Request) -> web.StreamResponse:
        visit = request[VISIT]
        visit.operation = operation.name
        raw = await _raw_body(operation, request)
        principal = await self._core.auth.identify(_credentials(operation, request, raw))
        await self._rates.count(visit, operation, principal)
        toll = self._toll if operation.spends else None
        if toll is None:
            principal = await self._admitted(operation, principal)
        call: AnyCall = Call(
            core=self._core,
            principal=principal,
            body=_body(operation, raw),
            query=None if operation.query is None else query_of(operation.query, request.query),
            path=dict(request.match_info),
            request=request,
            request_id=visit.request_id,
        )
        if toll is None:
            return await self._replays.answer(operation, call, raw)
        return await toll.answer(operation, call, partial(self._tolled, operation, raw))

    async def _tolled(self, operation: Operation, raw: bytes, call: AnyCall) -> web.StreamResponse:
        """What a caller may do who can pay for it is known only when it has paid."""
        principal = await self._admitted(operation, call.principal)
        return await self._replays.answer(operation, replace(call, principal=principal), raw)

    async def _admitted(
        self, operation: Operation, principal: Principal | None
    ) -> Principal | None:
        """Raises Unauthenticated, Forbidden, NetworkUnavailable."""
        if operation.scope is None:
            return principal
        if principal is None:
            raise Unauthenticated("this needs an API key or a wallet's signature")
        if operation.scope is Scope.OWNER:
            principal = await self._core.auth.with_owner(principal)
        principal.require(operation.scope)
        return principal


def dialect_app(
    core: Core,
    dialect: Dialect,
    options: HttpOptions | None = None,
    *,
    socket_paths: Sequence[str] = (SOCKET_PATH,),
) -> web.Application:
    """For one mount: aiohttp takes an application once, so each mount gets its own."""
    service = Service(core, dialect, options or HttpOptions())
    app = web.Application(middlewares=[through(lambda _: service.door)])
    app[DOOR_OF] = lambda _: service.door
    app.on_response_prepare.append(service.door.add_headers)
    app.add_routes(route(each, service.handler(each)) for each in dialect.operations)
    app.router.add_get(OPENAPI_PATH, service.openapi_handler())
    if dialect.socket is not None:
        for path in socket_paths:
            app.router.add_get(path, dialect.socket.handle, allow_head=False)
    if dialect.extra_routes is not None:
        dialect.extra_routes(app, core)
    return app


def socket_app(core: Core, dialect: Dialect, options: HttpOptions) -> web.Application:
    """The dialect's socket alone, at the root of a port of its own."""
    socketed = replace(dialect, operations=(), extra_routes=None)
    return dialect_app(core, socketed, options, socket_paths=("/", SOCKET_PATH))


def through(door_of: DoorOf) -> Middleware:
    """For requests that end in this very application; mounts inside of it have their own doors."""

    @web.middleware
    async def through_door(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.apps[-1] is not request.app:
            return await handler(request)
        return await door_of(request).answer(request, handler)

    return through_door


def route(operation: Operation, handler: RawHandler) -> web.RouteDef:
    if operation.method == "GET":
        return web.get(operation.path, handler)  # and HEAD
    return web.route(operation.method, operation.path, handler)


async def _raw_body(operation: Operation, request: web.Request) -> bytes:
    if not operation.reads_body or operation.method == "GET":
        return b""
    if operation.body is not None:
        require_content_type(request, "application/json")
    with waiting():
        return await read_whole(request, max_bytes=operation.max_body_bytes)


def _body(operation: Operation, raw: bytes) -> BaseModel | None:
    if operation.body is None or not operation.reads_body:
        return None
    return body_of(operation.body, raw)


def _credentials(operation: Operation, request: web.Request, raw: bytes) -> Credentials:
    """A body that the handler reads is signed by the digest its caller states beforehand.

    Raises InvalidRequest for what is no digest.
    """
    digest = body_digest(raw) if raw else _DIGEST_OF_NOTHING
    if not operation.reads_body:
        digest = request.headers.get(CONTENT_DIGEST, digest).lower()
        if _SHA256.fullmatch(digest) is None:
            raise InvalidRequest(f"{CONTENT_DIGEST}: 64 digits in hex", field=CONTENT_DIGEST)
    target = HttpRequest(request.host, request.method, request.raw_path, digest)
    return Credentials(request.headers, target, request[VISIT].address)
