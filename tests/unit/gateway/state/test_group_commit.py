"""Many writers, one disk: each gets its own result, and nobody a promise that was not kept."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, event, insert, select
from sqlalchemy.engine import make_url

from dvllm_gateway.errors import InternalError, NetworkUnavailable
from dvllm_gateway.state.group_commit import GroupCommit
from dvllm_gateway.state.sqlite import writing_engine

numbers = Table("numbers", MetaData(), Column("number", Integer, primary_key=True))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = writing_engine(make_url(f"sqlite:///{tmp_path / 'numbers.sqlite'}"))
    with engine.begin() as connection:
        numbers.metadata.create_all(connection)
    yield engine
    engine.dispose()


@pytest.fixture
async def commits(engine: Engine) -> list[None]:
    """Grows with every commit."""
    seen: list[None] = []
    event.listen(engine, "commit", lambda _: seen.append(None))
    return seen


def add(number: int) -> Callable[[Connection], int]:
    def work(tx: Connection) -> int:
        tx.execute(insert(numbers).values(number=number))
        return number * 10

    return work


def stored(engine: Engine) -> list[int]:
    with engine.begin() as connection:
        return list(connection.execute(select(numbers.c.number)).scalars())


async def test_write__many_at_once__each_gets_its_result_in_a_few_commits(
    engine: Engine, commits: list[None]
) -> None:
    group = GroupCommit(engine)
    results = await asyncio.gather(*(group.write(add(n)) for n in range(100)))
    assert results == [n * 10 for n in range(100)]
    assert len(commits) <= 8
    assert stored(engine) == list(range(100))
    await group.close()


async def test_write__not_hurried__waits_for_those_that_are_and_gets_its_turn(
    engine: Engine,
) -> None:
    order: list[int] = []
    begun, may_go_on = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        begun.set()
        may_go_on.wait(10)

    def noted(number: int) -> Callable[[Connection], None]:
        return lambda _: order.append(number)

    group = GroupCommit(engine)
    holding = asyncio.create_task(group.write(hold))
    await asyncio.to_thread(begun.wait, 10)
    slow = [group.write(noted(n), is_hurried=False) for n in range(20)]
    hurried = [group.write(noted(n)) for n in range(100, 130)]
    waiting = asyncio.gather(*slow, *hurried)
    await asyncio.sleep(0)
    may_go_on.set()
    await asyncio.gather(holding, waiting)
    assert order[:16] == [*range(100, 112), *range(4)]
    assert sorted(order) == [*range(20), *range(100, 130)]
    await group.close()


class Together:
    """A shared work that notes what it was given at once, and fails for a negative number."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, tx: Connection, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        if min(items) < 0:
            raise LookupError(min(items))
        tx.execute(insert(numbers), [{"number": item} for item in items])
        return [item * 10 for item in items]


async def test_write_shared__many_at_once__are_done_together_and_each_gets_its_result(
    engine: Engine, commits: list[None]
) -> None:
    group, work = GroupCommit(engine), Together()
    shared = [group.write_shared(work, n) for n in range(100)]
    results = await asyncio.gather(group.write(add(100)), *shared)
    assert results == [1000, *(n * 10 for n in range(100))]
    assert len(work.calls) <= 5
    assert len(commits) <= 5
    assert stored(engine) == list(range(101))
    await group.close()


async def test_write_shared__one_fails__only_its_own_is_undone(engine: Engine) -> None:
    group, work, other = GroupCommit(engine), Together(), Together()
    results = await asyncio.gather(
        group.write_shared(work, 1),
        group.write_shared(work, 2),
        group.write_shared(work, -3),
        group.write_shared(other, 4),
        group.write(add(5)),
        return_exceptions=True,
    )
    assert [results[0], results[1], results[3], results[4]] == [10, 20, 40, 50]
    assert isinstance(results[2], LookupError)
    assert stored(engine) == [1, 2, 4, 5]
    await group.close()


async def test_write__one_of_a_group_fails__only_its_own_is_undone(engine: Engine) -> None:
    def failing(tx: Connection) -> None:
        add(2)(tx)
        raise LookupError("mine")

    group = GroupCommit(engine)
    results = await asyncio.gather(
        group.write(add(1)), group.write(failing), group.write(add(3)), return_exceptions=True
    )
    assert results[0] == 10
    assert isinstance(results[1], LookupError)
    assert results[2] == 30
    assert stored(engine) == [1, 3]
    await group.close()


async def test_write__refused_by_the_database__is_an_error_of_the_core(engine: Engine) -> None:
    group = GroupCommit(engine)
    await group.write(add(1))
    with pytest.raises(InternalError, match="IntegrityError"):
        await group.write(add(1))
    await group.close()


async def test_write__commit_fails__everybody_is_told_and_nothing_is_kept(engine: Engine) -> None:
    def refuse(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT no_such_function()")

    group = GroupCommit(engine)
    event.listen(engine, "commit", refuse)
    results = await asyncio.gather(*(group.write(add(n)) for n in range(3)), return_exceptions=True)
    event.remove(engine, "commit", refuse)
    assert [type(result) for result in results] == [InternalError] * 3
    assert stored(engine) == []
    assert await group.write(add(7)) == 70
    await group.close()


async def test_write__locked_by_another_process__can_be_tried_again(
    engine: Engine, tmp_path: Path
) -> None:
    engine.dispose()  # its next connection is an impatient one
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=1").close())
    other = writing_engine(make_url(f"sqlite:///{tmp_path / 'numbers.sqlite'}"))
    group = GroupCommit(engine)
    with other.begin(), pytest.raises(NetworkUnavailable):
        await group.write(add(1))
    assert await group.write(add(1)) == 10
    await group.close()
    other.dispose()


async def test_write__caller_cancelled__waits_for_the_commit(engine: Engine) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow(tx: Connection) -> None:
        begun.set()
        may_end.wait(10)
        add(1)(tx)

    group = GroupCommit(engine)
    caller = asyncio.create_task(group.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert stored(engine) == [1]
    await group.close()


async def test_write__everything_cancelled_at_once__ends_and_nobody_hangs(engine: Engine) -> None:
    """As at the end of a process that fails."""
    group = GroupCommit(engine)
    callers = [asyncio.create_task(group.write(add(n))) for n in range(3)]
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    async with asyncio.timeout(10):
        results = await asyncio.gather(*callers, return_exceptions=True)
        await group.close()
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert stored(engine) == [0, 1, 2]
