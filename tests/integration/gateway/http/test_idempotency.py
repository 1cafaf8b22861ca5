"""A key makes a costly call happen once, whatever becomes of its caller."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.toy_server import Served, served_toy
from tests.support.waiting import wait_until


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Served]:
    async with served_toy(tmp_path) as served:
        yield served


async def ask(toy: Served, path: str, numbers: list[int], key: str = "k1") -> tuple[int, Any, Any]:
    headers = {**toy.own, "Idempotency-Key": key}
    return await toy.ask("POST", path, json={"numbers": numbers}, headers=headers)


async def test_key__used_again__replays_the_reply(toy: Served) -> None:
    first = await ask(toy, "/toys/sums", [1, 2])
    second = await ask(toy, "/toys/sums", [1, 2])

    assert toy.toy.n_sums == 1
    assert first[:2] == second[:2] == (200, {"total": 3, "nameOfField": 0})
    assert second[2]["X-Toy"] == "yes"
    assert second[2]["Idempotent-Replayed"] == "true"


async def test_key__of_somebody_else__is_another(toy: Served) -> None:
    await ask(toy, "/toys/sums", [1])
    await ask(toy, "/toys/sums", [1], key="k2")

    assert toy.toy.n_sums == 2


async def test_key__with_another_body__is_409(toy: Served) -> None:
    await ask(toy, "/toys/sums", [1])
    status, body, headers = await ask(toy, "/toys/sums", [2])

    assert (status, body["oops"]) == (409, "conflict")
    assert headers["x-should-retry"] == "false"
    assert toy.toy.n_sums == 1


async def test_key__at_another_operation__is_409(toy: Served) -> None:
    await ask(toy, "/toys/sums", [1])

    assert (await ask(toy, "/toys/refused", [1]))[0] == 409


async def test_key__while_the_first_call_runs__is_409_and_then_replays(toy: Served) -> None:
    first = asyncio.create_task(ask(toy, "/toys/later", [5]))
    await wait_until(lambda: toy.toy.n_sums > 0, what="the handler")
    status, _, headers = await ask(toy, "/toys/later", [5])
    assert (status, headers["x-should-retry"]) == (409, "false")
    assert int(headers["Retry-After"]) > 0
    toy.toy.may_end.set()

    assert (await first)[1] == (await ask(toy, "/toys/later", [5]))[1]
    assert toy.toy.n_sums == 1


async def test_key__whose_caller_hung_up__has_its_reply_later(toy: Served) -> None:
    first = asyncio.create_task(ask(toy, "/toys/later", [5]))
    await wait_until(lambda: toy.toy.n_sums > 0, what="the handler")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert not toy.toy.was_closed.is_set()
    toy.toy.may_end.set()
    await toy.options.background.drain(5)

    assert (await ask(toy, "/toys/later", [5]))[:2] == (200, {"total": 5, "nameOfField": 0})
    assert toy.toy.n_sums == 1


async def test_key__of_a_refused_call__may_be_used_again(toy: Served) -> None:
    assert (await ask(toy, "/toys/refused", []))[0] == 503
    assert (await ask(toy, "/toys/refused", []))[0] == 503

    assert toy.toy.n_sums == 2


async def test_key__of_a_call_whose_task_goes_on__asks_for_that_task_again(toy: Served) -> None:
    status, _, headers = await ask(toy, "/toys/lost", [4])
    assert (status, headers["x-should-retry"]) == (502, "false")
    assert (await ask(toy, "/toys/lost", [5]))[0] == 409
    toy.toy.may_end.set()

    for replayed in (None, "true"):
        status, body, headers = await ask(toy, "/toys/lost", [4])
        assert (status, body) == (200, {"total": 4, "nameOfField": 0})
        assert headers.get("Idempotent-Replayed") == replayed


async def test_key__of_a_call_whose_task_failed__replays_the_failure(toy: Served) -> None:
    first = await ask(toy, "/toys/failed", [])
    second = await ask(toy, "/toys/failed", [])

    assert first[0] == second[0] == 502
    assert first[1]["said"] == second[1]["said"]
    assert second[2]["x-should-retry"] == "false"
    assert second[2]["Idempotent-Replayed"] == "true"
    assert toy.toy.n_sums == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "clé"])
async def test_key__that_can_not_be_kept__is_400(toy: Served, key: str) -> None:
    assert (await ask(toy, "/toys/sums", [], key=key))[0] == 400
    assert toy.toy.n_sums == 0


async def test_key__of_a_stream__is_streamed_again(toy: Served) -> None:
    headers = {**toy.own, "Idempotency-Key": "k1"}
    for frame in (b"1", None, b"1", None):
        await toy.toy.frames.put(frame)
    for _ in range(2):
        async with toy.session.post(
            toy.url + "/toys/poured", json={"numbers": [1]}, headers=headers
        ) as response:
            assert await response.read() == b"data: 1\n\n"


async def test_key__of_a_stream_with_another_body__is_409(toy: Served) -> None:
    headers = {**toy.own, "Idempotency-Key": "k1"}
    for frame in (b"1", None):
        await toy.toy.frames.put(frame)
    async with toy.session.post(
        toy.url + "/toys/poured", json={"numbers": [1]}, headers=headers
    ) as response:
        await response.read()

    assert (await ask(toy, "/toys/poured", [2]))[0] == 409
    assert toy.toy.n_sums == 1


async def test_key__of_a_stream_that_runs__is_joined(toy: Served) -> None:
    headers = {**toy.own, "Idempotency-Key": "k1"}
    body = {"numbers": [1]}
    feeding = asyncio.create_task(_feed(toy))
    async with toy.session.post(toy.url + "/toys/poured", json=body, headers=headers) as first:
        await first.content.readuntil(b"\n\n")
        async with toy.session.post(toy.url + "/toys/poured", json=body, headers=headers) as other:
            assert await other.content.readuntil(b"\n\n") == b"data: 1\n\n"
    feeding.cancel()
    await toy.options.background.drain(1)
    assert toy.toy.n_sums == 2


async def _feed(toy: Served) -> None:
    while True:
        await toy.toy.frames.put(b"1")
        await asyncio.sleep(0.02)
