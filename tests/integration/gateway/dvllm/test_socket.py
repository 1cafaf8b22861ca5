"""The documented WebSocket: who hears what, and what a client may say."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from decentralized_vllm.protocol.ids import ModelId, Wei
from dvllm_gateway.dialects.dvllm import websocket as websocket_module
from dvllm_gateway.errors import Kind
from dvllm_gateway.services.events import (
    EarningsChanged,
    EventName,
    ModelRegistered,
    Progress,
)
from dvllm_gateway.services.resources import Shares
from dvllm_gateway.services.tasks import Failure, TaskState
from tests.support import documented_dvllm as documented
from tests.support.documented_dvllm import check_shape
from tests.support.dvllm_api import Api
from tests.support.gateway_in_memory.facts import ASKER, OTHER, OWNER
from tests.support.gateway_in_memory.tasks import completed, submitted, task

Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def socket_of(api: Api, path: str = "/", **options: Any) -> AsyncIterator[Socket]:
    async with api.session.ws_connect(api.url + path, **options) as socket:
        await ponged(socket)
        yield socket


async def heard(socket: Socket) -> dict[str, Any]:
    return dict(await socket.receive_json(timeout=10))


async def ponged(socket: Socket) -> list[dict[str, Any]]:
    """What came before the answer to a ping: all that was sent until then."""
    await socket.send_json({"type": "ping"})
    frames = []
    while (frame := await heard(socket))["type"] != "pong":
        frames.append(frame)
    return frames


async def told(api: Api, sockets: Iterable[Socket]) -> None:
    """Until every socket has what the bus told: an event of no account is the last of it."""
    api.memory.events.tell(EventName.RESOURCES_CHANGED, Shares(1, 2, 3, 4))
    for socket in sockets:
        while (await heard(socket))["type"] != "resource_updated":
            pass


async def log_in(socket: Socket, key: str) -> None:
    await socket.send_json({"type": "auth", "token": key})
    assert (await heard(socket))["type"] == "auth_ok"


async def test_socket__own_tasks__full_frames_as_documented(api: Api) -> None:
    record = task()
    async with socket_of(api) as socket:
        await log_in(socket, api.key)
        api.memory.events.tell(EventName.TASK_SUBMITTED, submitted(record), ASKER)
        api.memory.events.tell(EventName.TASK_COMPLETED, completed(record), ASKER)
        api.memory.events.tell(EventName.RESOURCES_CHANGED, Shares(15, 20, 15, 8))
        for kind in ("task_submitted", "task_completed", "resource_updated"):
            frame = await heard(socket)
            cursor = frame.pop("cursor")
            assert isinstance(cursor, int)
            check_shape(frame, documented.FRAME)
            assert frame["type"] == kind
            check_shape(frame["data"], documented.EVENTS[kind])


async def test_socket__without_a_login__no_prompt_response_or_error(api: Api) -> None:
    record = task()
    failed = task(state=TaskState.FAILED, failure=Failure(Kind.TASK_FAILED, "a secret"))
    async with socket_of(api) as socket:
        api.memory.events.tell(EventName.TASK_SUBMITTED, submitted(record), ASKER)
        api.memory.events.tell(EventName.TASK_STARTED, submitted(record), ASKER)
        api.memory.events.tell(EventName.TASK_PROGRESS, Progress(record.id, 50.0, 4), ASKER)
        api.memory.events.tell(EventName.TASK_COMPLETED, completed(record), ASKER)
        api.memory.events.tell(EventName.TASK_FAILED, failed, ASKER)
        frames = [await heard(socket) for _ in range(4)]
    assert [frame["type"] for frame in frames] == [
        "task_submitted",
        "task_started",
        "task_completed",
        "task_failed",
    ]
    keys = [set(frame["data"]) for frame in frames]
    assert keys == [
        {"taskId", "jobId", "modelId"},
        {"taskId", "jobId", "worker"},
        {"taskId", "jobId", "worker", "timing"},
        {"taskId", "jobId"},
    ]
    assert not any(word in str(frames) for word in ("What is AI?", "AI is …", "a secret"))


async def test_socket__somebody_elses_login__redacted_too(api: Api) -> None:
    async with socket_of(api) as socket:
        await log_in(socket, api.other_key)
        api.memory.events.tell(EventName.TASK_SUBMITTED, submitted(task()), ASKER)
        assert "prompt" not in (await heard(socket))["data"]
        api.memory.events.tell(EventName.TASK_SUBMITTED, submitted(task(OTHER)), OTHER)
        assert (await heard(socket))["data"]["prompt"] == "What is AI?"


async def test_socket__own_progress_failure_and_earnings__told(api: Api) -> None:
    record = task(state=TaskState.FAILED, failure=Failure(Kind.TASK_FAILED, "no answer"))
    async with socket_of(api) as socket:
        await log_in(socket, api.key)
        api.memory.events.tell(EventName.TASK_PROGRESS, Progress(record.id, 50.0, 4), ASKER)
        api.memory.events.tell(EventName.TASK_FAILED, record, ASKER)
        api.memory.events.tell(EventName.EARNINGS_CHANGED, EarningsChanged(Wei(15 * 10**17)))
        api.memory.events.tell(EventName.MODEL_REGISTERED, ModelRegistered(ModelId("m")))
        frames = [await heard(socket) for _ in range(3)]
        assert await ponged(socket) == []
    assert [(frame["type"], frame["data"]) for frame in frames] == [
        ("task_progress", {"taskId": f"task_{record.id}", "percentage": 50.0, "tokens": 4}),
        ("task_failed", {"taskId": f"task_{record.id}", "jobId": None, "error": "no answer"}),
        ("earnings_update", {"total": 1.5, "totalWei": "1500000000000000000"}),
    ]


@pytest.mark.parametrize("way", ["query", "header", "path"])
async def test_socket__login_while_connecting__same_as_the_frame(api: Api, way: str) -> None:
    options = {
        "query": ("/?token=" + api.key, {}),
        "path": ("/ws?token=" + api.key, {}),
        "header": ("/", {"headers": {"Authorization": f"Bearer {api.key}"}}),
    }
    path, more = options[way]
    async with api.session.ws_connect(api.url + path, **more) as socket:
        assert (await heard(socket))["type"] == "auth_ok"
        api.memory.events.tell(EventName.TASK_SUBMITTED, submitted(task()), ASKER)
        assert "prompt" in (await heard(socket))["data"]


async def test_socket__wallet_login__by_the_signature_of_its_path(api: Api) -> None:
    async with socket_of(api) as socket:
        login = {
            "type": "auth",
            "address": OWNER,
            "signature": "0x11",
            "timestamp": 1,
            "nonce": "n" * 16,
        }
        await socket.send_json(login)
        frame = await heard(socket)
        assert (frame["type"], frame["data"]["account"]) == ("auth_ok", OWNER.lower())
        await socket.send_json({**login, "signature": "0xbad"})
        assert (await heard(socket))["type"] == "auth_error"


async def test_socket__bad_keys__refused_then_closed(api: Api) -> None:
    async with socket_of(api) as socket:
        for _ in range(5):
            await socket.send_json({"type": "auth", "token": "guess"})
            frame = await heard(socket)
            assert (frame["type"], frame["data"]["code"]) == ("auth_error", "E006")
        await socket.receive(timeout=10)
        assert socket.close_code == 4401


async def test_socket__key_is_revoked__closed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_module, "RECHECK_EVERY_S", 0.05)
    await asyncio.sleep(0)
    async with socket_of(api) as socket:
        await log_in(socket, api.other_key)
        key = next(iter(await api.memory.keys.list(OTHER)))
        await api.memory.keys.revoke(OTHER, key.id)
        async with asyncio.timeout(10):
            await socket.receive()
        assert socket.close_code == 4401


async def test_socket__subscribed_to_some__hears_only_those(api: Api) -> None:
    async with socket_of(api) as socket:
        await socket.send_json({"type": "subscribe", "events": ["resource_updated"]})
        frame = await heard(socket)
        assert (frame["type"], frame["data"]) == ("subscribed", {"events": ["resource_updated"]})
        api.memory.events.tell(EventName.TASK_SUBMITTED, submitted(task()), ASKER)
        await told(api, [socket])
        await socket.send_json({"type": "subscribe", "events": ["gossip"]})
        assert (await heard(socket))["data"]["code"] == "E005"


async def test_socket__after_a_cursor__missed_ones_first_then_on(api: Api) -> None:
    tasks = [task() for _ in range(400)]  # more than a socket's queue holds
    events = [
        api.memory.events.tell(EventName.TASK_SUBMITTED, submitted(record), ASKER)
        for record in tasks
    ]
    async with socket_of(api) as socket:
        await log_in(socket, api.key)
        await socket.send_json({"type": "subscribe", "after": events[9].cursor})
        assert (await heard(socket))["type"] == "subscribed"
        api.memory.events.tell(EventName.TASK_COMPLETED, completed(tasks[0]), ASKER)
        frames = [await heard(socket) for _ in range(391)]
    assert [frame["cursor"] for frame in frames] == list(range(11, 402))
    assert frames[-1]["type"] == "task_completed"


async def test_socket__malformed_frames__three_and_it_is_closed(api: Api) -> None:
    async with socket_of(api) as socket:
        for bad in ("{", "[]", "nonsense"):
            await socket.send_str(bad)
            frame = await heard(socket)
            assert (frame["type"], frame["data"]["code"]) == ("error", "E005")
        await socket.receive(timeout=10)
        assert socket.close_code == 1003


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ({}, "type"),
        ({"type": "dance"}, "type"),
        ({"type": ["ping"]}, "type"),
        ({"type": "auth"}, "token"),
        ({"type": "auth", "token": ""}, "token"),
        ({"type": "auth", "address": OWNER}, "signature"),
        ({"type": "auth", "address": "me", "signature": "0x11"}, "address"),
        ({"type": "subscribe", "after": -1}, "after"),
        ({"type": "subscribe", "after": "1"}, "after"),
        ({"type": "subscribe", "after": 2**63}, "after"),
        ({"type": "subscribe", "events": "all"}, "events"),
        ({"type": "ping", "more": 1}, "more"),
    ],
)
async def test_socket__frame_of_no_meaning__error_names_the_field_and_it_goes_on(
    api: Api, frame: dict[str, Any], field: str
) -> None:
    async with socket_of(api) as socket:
        await socket.send_json(frame)
        answer = await heard(socket)
        assert (answer["type"], answer["data"]["code"]) == ("error", "E005")
        assert answer["data"]["details"].startswith(f"{field}: ")
        assert await ponged(socket) == []


@pytest.mark.parametrize("token", ["", "x" * 5000])
async def test_socket__token_of_no_key_while_connecting__refused_and_it_goes_on(
    api: Api, token: str
) -> None:
    async with api.session.ws_connect(f"{api.url}/?token={token}") as socket:
        frame = await heard(socket)
        assert (frame["type"], frame["data"]["code"]) == ("auth_error", "E006")
        assert await ponged(socket) == []


async def test_socket__eleventh_of_an_address__refused_before_the_upgrade(api: Api) -> None:
    sockets = [await api.session.ws_connect(api.url) for _ in range(10)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await api.session.ws_connect(api.url)
    assert refused.value.status == 429
    await sockets[0].close()
    async with asyncio.timeout(10):
        while True:
            try:
                await (await api.session.ws_connect(api.url)).close()
                break
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.05)
    for socket in sockets:
        await socket.close()


async def test_socket__plain_http__in_the_documented_envelope(api: Api) -> None:
    status, body = await api.get("/")
    assert status == 400
    check_shape(body, documented.ERROR)
