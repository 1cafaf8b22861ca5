"""An order that its operator breaks off may have been sent."""

import asyncio

import pytest

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
