"""A session that ends is replaced; one that can not be opened is tried again, and again."""

import asyncio
import logging

import pytest

from decentralized_vllm.protocol.errors import EngineUnavailable
from dvllm_worker.engines.supervisor import Backoff, Supervisor

FAST = Backoff(first_s=0.001, longest_s=0.01)


class FakeSession:
    """Ends when told to."""

    def __init__(self) -> None:
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()

    async def ended(self) -> str:
        return await asyncio.shield(self.end)

    async def close(self) -> None:
        self.closed.set()


class Opener:
    """Opens sessions; the attempts in `failing`, counted from 0, fail."""

    def __init__(self, failing: set[int] | None = None) -> None:
        self.sessions: list[FakeSession] = []
        self.n_attempts = 0
        self._failing = failing or set()
        self._opened = asyncio.Condition()

    async def __call__(self) -> FakeSession:
        self.n_attempts += 1
        if self.n_attempts - 1 in self._failing:
            raise EngineUnavailable("no memory")
        session = FakeSession()
        async with self._opened:
            self.sessions.append(session)
            self._opened.notify_all()
        return session

    async def wait_for(self, n_sessions: int) -> None:
        async with self._opened:
            await asyncio.wait_for(
                self._opened.wait_for(lambda: len(self.sessions) >= n_sessions), timeout=5
            )


async def test_start__first_session_fails__raises_and_can_be_stopped() -> None:
    supervisor = Supervisor("x", Opener({0}), FAST)
    with pytest.raises(EngineUnavailable, match="no memory"):
        await supervisor.start()
    await supervisor.stop()


async def test_session__before_start_and_after_stop__unavailable() -> None:
    supervisor = Supervisor("x", Opener(), FAST)
    with pytest.raises(EngineUnavailable, match="not started"):
        supervisor.session()
    await supervisor.start()
    session = supervisor.session()
    await supervisor.stop()
    assert session.closed.is_set()
    with pytest.raises(EngineUnavailable, match="stopped"):
        supervisor.session()


async def test_session__ended__closed_told_why_and_replaced() -> None:
    opener = Opener()
    supervisor = Supervisor("x", opener, Backoff(first_s=0.1))
    await supervisor.start()
    opener.sessions[0].end.set_result("ended with SIGKILL")
    await asyncio.wait_for(opener.sessions[0].closed.wait(), timeout=5)
    with pytest.raises(EngineUnavailable, match="ended with SIGKILL"):
        supervisor.session()
    await opener.wait_for(2)
    assert opener.sessions[0].closed.is_set()
    assert not opener.sessions[1].closed.is_set()
    await supervisor.stop()


async def test_session__restarts_fail__tried_until_one_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    opener = Opener({1, 2, 3})
    supervisor = Supervisor("x", opener, FAST)
    await supervisor.start()
    with caplog.at_level(logging.ERROR):
        opener.sessions[0].end.set_result("crashed")
        await opener.wait_for(2)
    assert [record.message for record in caplog.records] == ["engine_start_failed"] * 3
    assert {vars(record)["reason"] for record in caplog.records} == {"no memory"}
    assert not any(record.exc_info for record in caplog.records)  # one line, no defect of ours
    await supervisor.stop()


def test_backoff__failures_in_a_row__doubles_up_to_the_longest() -> None:
    backoff = Backoff(first_s=0.5, factor=2, longest_s=60)
    assert [backoff.wait_s(n) for n in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert backoff.wait_s(10_000) == 60


async def test_stop__while_an_ended_session_closes__closed_to_the_end() -> None:
    class SlowToClose(FakeSession):
        """The first close takes for ever, as if the machine were busy."""

        n_closes = 0

        async def close(self) -> None:
            self.n_closes += 1
            self.closed.set()
            if self.n_closes == 1:
                await asyncio.Event().wait()

    async def open_session() -> SlowToClose:
        return session

    session = SlowToClose()
    supervisor = Supervisor("x", open_session, FAST)
    await supervisor.start()
    session.end.set_result("crashed")
    await asyncio.wait_for(session.closed.wait(), timeout=5)
    await supervisor.stop()
    assert session.n_closes == 2
