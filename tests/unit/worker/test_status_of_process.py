"""What `worker status` takes for the running worker, and what it does not."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dvllm_worker.commands._running import status_of_process
from dvllm_worker.settings import HttpSection
from tests.support.jobs import ME, OTHER

OWN = {"node": ME, "uptime_s": 5, "paused_because": None}


@pytest.mark.parametrize(
    ("body", "known"),
    [
        (OWN, OWN),
        ({**OWN, "node": OTHER}, None),
        ({"status": "ok"}, None),
        (["ok"], None),
        ("ok", None),
    ],
    ids=["own worker", "another node's", "another program's", "a list", "a word"],
)
async def test_status__whatever_listens_there__only_the_own_worker_counts(
    body: Any, known: dict[str, Any] | None
) -> None:
    async def status(_: web.Request) -> web.Response:
        return web.json_response(body)

    app = web.Application()
    app.router.add_get("/status", status)
    async with TestServer(app) as server:
        assert server.port is not None
        http = HttpSection(host="127.0.0.1", port=server.port)
        assert await status_of_process(http, ME) == known
