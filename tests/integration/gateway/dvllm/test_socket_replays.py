"""Replays of the documented WebSocket that fail: whoever asked is told to come again."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import aiohttp
import pytest

from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.services.events import Event
from tests.support.dvllm_api import Api

Subscribing = Callable[..., AsyncGenerator[Event, None]]


def failing(error: Exception) -> Subscribing:
    async def fail(*, after: int | None = None) -> AsyncGenerator[Event, None]:
        raise error
        yield  # only makes this a generator, as the port's is

    return fail


async def after_a_replay(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> tuple[list[dict[str, Any]], int | None]:
    """What is heard, and how the socket is closed."""
    async with api.session.ws_connect(api.url) as socket:
        monkeypatch.setattr(api.memory.events, "subscribe", failing(error))
        await socket.send_json({"type": "subscribe", "after": 0})
        frames = []
        while (message := await socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
            frames.append(message.json())
        return frames, socket.close_code


async def test_replay__breaks_down__closed_instead_of_mute(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, code = await after_a_replay(api, monkeypatch, RuntimeError("a defect"))
    assert [frame["type"] for frame in frames] == ["subscribed"]
    assert code == 1011


async def test_replay__that_the_database_refuses__told_why_and_closed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on with what happens now, it would never hear what lies in between."""
    refusal = NetworkUnavailable("the database does not answer")
    frames, code = await after_a_replay(api, monkeypatch, refusal)
    assert [frame["type"] for frame in frames] == ["subscribed", "error"]
    assert frames[-1]["data"]["code"] == "E001"
    assert code == 1011
