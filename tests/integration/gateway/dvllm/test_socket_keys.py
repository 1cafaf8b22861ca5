"""Keys of the documented WebSocket: what one must be good for, and its end, however it came."""

import asyncio
from typing import Any

import aiohttp
import pytest

from dvllm_gateway.dialects.dvllm import websocket as websocket_module
from dvllm_gateway.services.events import EventName
from dvllm_gateway.services.principals import Scope
from tests.support.dvllm_api import Api
from tests.support.gateway_in_memory.facts import ASKER, OTHER
from tests.support.gateway_in_memory.tasks import submitted, task


async def heard(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    return dict(await socket.receive_json(timeout=10))


async def revoke_all(api: Api) -> None:
    for key in await api.memory.keys.list(OTHER):
        await api.memory.keys.revoke(OTHER, key.id)


async def closed_with(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(10):
        while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    return socket.close_code


async def test_key__that_came_in_the_header__ends_the_socket_when_revoked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_module, "RECHECK_EVERY_S", 0.05)
    await asyncio.sleep(0)
    header = {"Authorization": f"Bearer {api.other_key}"}
    async with api.session.ws_connect(api.url, headers=header) as socket:
        assert (await heard(socket))["type"] == "auth_ok"
        await revoke_all(api)
        assert await closed_with(socket) == 4401


async def test_key__of_who_asked_for_what_it_missed__ends_the_socket_when_revoked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_module, "RECHECK_EVERY_S", 0.05)
    await asyncio.sleep(0)
    api.memory.events.tell(EventName.TASK_SUBMITTED, submitted(task(OTHER)), OTHER)
    async with api.session.ws_connect(f"{api.url}/?token={api.other_key}") as socket:
        await socket.send_json({"type": "subscribe", "after": 0})
        kinds = [(await heard(socket))["type"] for _ in range(3)]
        assert kinds == ["auth_ok", "subscribed", "task_submitted"]
        await revoke_all(api)
        assert await closed_with(socket) == 4401


async def test_key__without_the_scope_read__hears_what_anybody_hears(api: Api) -> None:
    key = api.memory.keys.give("writer", ASKER, Scope.INFER)
    async with api.session.ws_connect(f"{api.url}/?token={key}") as socket:
        refused = await heard(socket)
        assert (refused["type"], refused["data"]["code"]) == ("auth_error", "E007")
        assert "read" in refused["data"]["details"]
        api.memory.events.tell(EventName.TASK_SUBMITTED, submitted(task()), ASKER)
        assert "prompt" not in (await heard(socket))["data"]
