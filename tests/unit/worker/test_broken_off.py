"""An order that its operator breaks off may have been sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dvllm_worker.commands import resume
from dvllm_worker.commands._orders import told_when_broken_off


async def test_order__broken_off__says_that_it_may_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun = asyncio.Event()

    async def order() -> None:
        with told_when_broken_off():
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(order())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "worker status" in capsys.readouterr().err


async def test_resume__broken_off__says_that_it_may_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    @asynccontextmanager
    async def slow_desk(*_: object) -> AsyncIterator[None]:
        begun.set()
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(resume, "open_desk_of", slow_desk)
    nobody: Any = None
    task = asyncio.create_task(resume.resumed(nobody, nobody, nobody))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "worker status" in capsys.readouterr().err
