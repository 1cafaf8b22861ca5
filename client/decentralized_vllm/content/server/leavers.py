"""Readers who leave while they are written to, which is no error of ours."""

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def let_leave(request: web.Request, handler: Handler) -> web.StreamResponse:
    """aiohttp would log a traceback for each. A handler that raises ConnectionError, too, means
    that this connection has to end."""
    try:
        return await handler(request)
    except ConnectionError:
        transport = request.transport
        if transport is not None and not transport.is_closing():  # what waits may still go out
            transport.abort()
        return web.Response()  # goes nowhere
