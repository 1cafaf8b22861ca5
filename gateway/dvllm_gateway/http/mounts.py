"""All dialects on one port: by path where that is clear, by prefix, and by Host."""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from dvllm_gateway.errors import NotFound
from dvllm_gateway.http.docs_page import docs_handler
from dvllm_gateway.http.door import DOOR_OF, Door, RawHandler
from dvllm_gateway.http.openapi import documented_path
from dvllm_gateway.http.operation import Dialect, Operation
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.http.routing import SOCKET_PATH, Service, dialect_app, route
from dvllm_gateway.services.ports import Core

DOCS_PATH = "/docs"

_PARAMETER = re.compile(r"\{\w+\}")


def unified_app(
    core: Core,
    dialects: Sequence[Dialect],
    options: HttpOptions,
    *,
    default_dialect: str | None = None,
) -> web.Application:
    """Paths that several dialects have go to `default_dialect`, or tell which prefixes exist."""
    app = _FlatMount(core, dialects, options, default_dialect).app()
    for dialect in dialects:
        own = dialect_app(core, dialect, options, socket_paths=("/", SOCKET_PATH))
        app.add_domain(f"{dialect.name}.localhost", own)  # is looked at before any path
        app.add_subapp(f"/{dialect.name}/", dialect_app(core, dialect, options))
    return app


class _FlatMount:
    """The documented paths without a prefix."""

    def __init__(
        self,
        core: Core,
        dialects: Sequence[Dialect],
        options: HttpOptions,
        default_dialect: str | None,
    ) -> None:
        self._dialects = dialects
        self._services = [Service(core, dialect, options) for dialect in dialects]
        self._default_dialect = default_dialect
        self._nearest = {
            _first_segment(operation.path): service.door
            for service in reversed(self._services)
            for operation in service.dialect.operations
        }

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._spell_unmatched()])
        app[DOOR_OF] = self._door_of
        for service in self._services:
            app.on_response_prepare.append(service.door.add_headers)
        app.router.add_get("/", _to_docs)
        app.router.add_get(DOCS_PATH, docs_handler(self._dialects))
        app.add_routes(self._routes())
        return app

    def _routes(self) -> list[web.RouteDef]:
        having: dict[tuple[str, str], list[tuple[Service, Operation]]] = defaultdict(list)
        for service in self._services:
            for operation in service.dialect.operations:
                having[operation.method, _shape(operation.path)].append((service, operation))
        return [self._route(candidates) for candidates in having.values()]

    def _route(self, candidates: Sequence[tuple[Service, Operation]]) -> web.RouteDef:
        service, operation = candidates[0]
        chosen = [pair for pair in candidates if pair[0].dialect.name == self._default_dialect]
        if len(candidates) > 1 and not chosen:
            handler = _ambiguous([each.dialect.name for each, _ in candidates])
            return route(operation, partial(service.door.answer, handler=handler))
        service, operation = (chosen or candidates)[0]
        handler = service.handler(operation)
        return route(operation, partial(service.door.answer, handler=handler))

    def _spell_unmatched(self) -> Middleware:
        @web.middleware
        async def spell(request: web.Request, handler: Handler) -> web.StreamResponse:
            is_ours = request.match_info.apps[-1] is request.app
            if not is_ours or request.match_info.http_exception is None:
                return await handler(request)
            return await self._door_of(request).answer(request, handler)

        return spell

    def _door_of(self, request: web.Request) -> Door:
        """Of the dialect whose paths begin alike, so that its clients can read the refusal."""
        return self._nearest.get(_first_segment(request.path), self._services[0].door)


def _ambiguous(names: Sequence[str]) -> RawHandler:
    prefixes = " or ".join(f"/{name}" for name in names)

    async def refuse(_: web.Request) -> web.StreamResponse:
        raise NotFound(f"several APIs have this path: put {prefixes} before it")

    return refuse


async def _to_docs(_: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": DOCS_PATH})


def _first_segment(path: str) -> str:
    """Of what is no path too, like the `*` of OPTIONS."""
    return path.removeprefix("/").partition("/")[0]


def _shape(path: str) -> str:
    return _PARAMETER.sub("{}", documented_path(path))
