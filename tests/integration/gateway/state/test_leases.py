"""Leases: one holder at a time."""

import asyncio
import time
from pathlib import Path

import pytest

from dvllm_gateway.state import Database, SqlLeaseStore, open_database

LONG_S = 600.0


async def test_lease__asked_for_by_many__goes_to_one(database: Database) -> None:
    leases = SqlLeaseStore(database)
    got = await asyncio.gather(
        *(leases.acquire("key 1", f"gateway {n}", for_s=LONG_S) for n in range(20))
    )
    assert sorted(got) == [False] * 19 + [True]


async def test_lease__held__is_renewed_by_its_holder_only(database: Database) -> None:
    leases = SqlLeaseStore(database)
    assert await leases.acquire("key 1", "a", for_s=LONG_S)
    assert await leases.acquire("key 1", "a", for_s=LONG_S)
    assert not await leases.acquire("key 1", "b", for_s=LONG_S)
    assert await leases.acquire("key 2", "b", for_s=LONG_S)


async def test_lease__released__is_free_unless_by_another(database: Database) -> None:
    leases = SqlLeaseStore(database)
    await leases.acquire("key 1", "a", for_s=LONG_S)
    await leases.release("key 1", "b")
    assert not await leases.acquire("key 1", "b", for_s=LONG_S)
    await leases.release("key 1", "a")
    assert await leases.acquire("key 1", "b", for_s=LONG_S)


async def test_lease__not_renewed__passes_on(database: Database) -> None:
    leases = SqlLeaseStore(database)
    await leases.acquire("key 1", "a", for_s=0.01)
    await asyncio.sleep(0.05)
    assert await leases.acquire("key 1", "b", for_s=LONG_S)
    assert not await leases.acquire("key 1", "a", for_s=LONG_S)


async def test_lease__of_who_was_killed_before_the_clock_went_back__passes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = time.time()
    monkeypatch.setattr("dvllm_gateway.state.leases.time.time", lambda: now_s)
    async with open_database(tmp_path / "gateway.sqlite") as database:
        leases = SqlLeaseStore(database)
        assert await leases.acquire("key 1", "killed", for_s=15.0)
        now_s -= 3600
        assert await leases.acquire("key 1", "next", for_s=15.0)
        assert not await leases.acquire("key 1", "third", for_s=15.0)
