"""For operators and balancers only: Prometheus, and whether this process lives and is ready."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from dvllm_gateway.http.metrics import Metrics

Readiness = Callable[[], Awaitable[str | None]]


def admin_app(metrics: Metrics, not_ready: Readiness) -> web.Application:
    """`not_ready` says why no request should come here, or None."""

    async def show_metrics(_: web.Request) -> web.Response:
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def ready(_: web.Request) -> web.Response:
        reason = await not_ready()
        if reason is None:
            return web.json_response({"ready": True})
        return web.json_response({"ready": False, "reason": reason}, status=503)

    app = web.Application()
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/healthz", live)
    app.router.add_get("/readyz", ready)
    return app
