"""The Kubo-compatible RPC: `POST /api/v0/…`, for the owner of the store and its tools."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from decentralized_vllm.content.server.answers import error_response
from decentralized_vllm.content.server.leavers import let_leave
from decentralized_vllm.content.server.rpc_add import AddCalls
from decentralized_vllm.content.server.rpc_blocks import BlockCalls
from decentralized_vllm.content.server.rpc_node import NodeCalls
from decentralized_vllm.content.server.rpc_pins import PinCalls
from decentralized_vllm.content.server.rpc_reads import ReadCalls
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import DvllmError

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PREFIX = "/api/v0/"
_NO_LIMIT = 2**62  # uploads are streamed to the store, which has its own limit


def rpc_app(store: PinningStore, *, allowed_origins: Sequence[str] = ()) -> web.Application:
    """Listen with it on loopback only. Browser pages of other origins are refused."""
    app = web.Application(
        middlewares=[let_leave, _origin_check(frozenset(allowed_origins)), _errors],
        client_max_size=_NO_LIMIT,
    )
    for name, handler in _calls(store).items():
        app.router.add_post(_PREFIX + name, handler)
    return app


def _calls(store: PinningStore) -> dict[str, _Handler]:
    groups = (AddCalls, ReadCalls, PinCalls, BlockCalls, NodeCalls)
    return {name: handler for group in groups for name, handler in group(store).calls().items()}


def _origin_check(allowed: frozenset[str]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Any page a browser shows can post to loopback; its Origin tells that it was a page."""

    @web.middleware
    async def check(request: web.Request, handler: _Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in allowed:
            return web.Response(status=403, text="this origin is not allowed\n")
        response = await handler(request)
        if origin is not None and not response.prepared:
            response.headers["Access-Control-Allow-Origin"] = origin
        return response

    return check


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except DvllmError as error:
        return error_response(error)
