"""Gateways and Kubos that are slow, silent, endless or lying (F30–F34)."""

import asyncio
from pathlib import Path

import pytest

from decentralized_vllm.content.fallback import FallbackStore
from decentralized_vllm.content.gateway import GatewaySource, GatewayStore
from decentralized_vllm.content.http_client import (
    ContentHttp,
    HttpTimeouts,
    TimedOut,
    Unanswered,
)
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.content.sources import Absent
from decentralized_vllm.protocol.errors import (
    ContentMismatch,
    ContentTooLarge,
    ContentUnavailable,
)
from decentralized_vllm.protocol.ports import ContentLimits
from tests.support.bad_sources import (
    CID,
    DATA,
    Misbehave,
    announce_huge,
    drip,
    endless,
    gibberish,
    hang,
    honest,
    lie,
    overloaded,
    redirect,
    source_that,
    truncate,
)

SHORT = HttpTimeouts(connect_s=0.5, read_s=0.5, total_s=1.0)
PATIENT = HttpTimeouts(connect_s=3.0, read_s=3.0, total_s=6.0)  # where somebody has to answer

FAULTS = [
    (drip, ContentUnavailable),
    (hang, ContentUnavailable),
    (endless, ContentMismatch),  # the one source there is gave only bytes that can't be used
    (announce_huge, ContentMismatch),
    (lie, ContentMismatch),
    (truncate, ContentUnavailable),
    (redirect, ContentUnavailable),
    (overloaded, ContentUnavailable),
    (gibberish, ContentUnavailable),
]


@pytest.mark.parametrize(("fault", "error"), FAULTS)
async def test_gateway__bad_source__is_a_typed_error(
    fault: Misbehave, error: type[Exception]
) -> None:
    async with (
        source_that(fault) as url,
        GatewayStore([url], timeouts=SHORT, public_only=False) as gateway,
    ):
        with pytest.raises(error):
            await gateway.get_block(CID)


@pytest.mark.parametrize("fault", [fault for fault, _ in FAULTS])
async def test_gateway__bad_source_first__reads_from_the_good_one(fault: Misbehave) -> None:
    good = MemoryStore()
    await good.add_bytes(DATA)
    async with source_that(fault) as bad, ContentServer(good, api_port=0, gateway_port=0) as server:
        urls = [bad, server.gateway_url]
        async with GatewayStore(urls, timeouts=PATIENT, public_only=False) as gateway:
            assert await gateway.read_bytes(CID, max_bytes=100) == DATA


async def gone(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


async def still_looking(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n")


WORDS: list[tuple[Misbehave, type[ContentUnavailable]]] = [
    (gone, Absent),
    (still_looking, Unanswered),
    (hang, Unanswered),
    (drip, TimedOut),
    (truncate, ContentUnavailable),
    (overloaded, ContentUnavailable),
    (gibberish, ContentUnavailable),
]


@pytest.mark.parametrize(("fault", "kind"), WORDS)
async def test_gateways__no_block__the_most_telling_word_is_told(
    fault: Misbehave, kind: type[ContentUnavailable]
) -> None:
    """A source that refuses connections and one that lies do not drown it."""
    refusing = "http://127.0.0.1:1"
    async with source_that(fault) as url, source_that(lie) as lying:
        for urls in ([url], [refusing, url, lying]):
            async with GatewayStore(urls, timeouts=SHORT, public_only=False) as gateway:
                with pytest.raises(ContentUnavailable) as caught:
                    await FallbackStore(MemoryStore(), [gateway]).get_block(CID)
            expected = ContentUnavailable if kind is TimedOut else kind
            assert caught.type is expected


@pytest.mark.parametrize(
    ("fault", "works"),
    [(gone, True), (overloaded, False), (still_looking, False), (hang, False), (redirect, False)],
)
async def test_gateways__probed__work_if_one_does(fault: Misbehave, works: bool) -> None:
    async with (
        source_that(fault) as url,
        GatewayStore(["http://127.0.0.1:1", url], timeouts=SHORT, public_only=False) as gateway,
    ):
        assert await gateway.answers() is works


async def test_stores__probed__answer_while_they_run() -> None:
    server = ContentServer(MemoryStore(), api_port=0, gateway_port=0)
    await server.start()
    async with (
        GatewayStore([server.gateway_url], public_only=False) as gateway,
        KuboStore(server.api_url) as kubo,
    ):
        assert await gateway.answers() and await kubo.answers()
        await server.stop()
        assert not await gateway.answers() and not await kubo.answers()


async def test_kubo__proxy_before_it_is_out_of_order__may_work_later() -> None:
    async with source_that(overloaded) as url, KuboStore(url, timeouts=SHORT) as kubo:
        with pytest.raises(ContentUnavailable, match="503"):
            await kubo.add_bytes(DATA)
        assert not await kubo.answers()


async def test_gateway__dead_source__costs_one_time_limit_and_not_one_per_block() -> None:
    asked = 0

    async def count(writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await hang(writer)

    good = MemoryStore()
    cid = await good.add_bytes(bytes(range(256)) * 10_000)
    async with (
        source_that(count) as bad,
        ContentServer(good, api_port=0, gateway_port=0) as server,
        GatewayStore([bad, server.gateway_url], timeouts=PATIENT, public_only=False) as gateway,
    ):
        assert len(await gateway.read_bytes(cid, max_bytes=3_000_000)) == 2_560_000
    assert asked == 1


async def test_gateway__connection_cut_once__is_asked_again() -> None:
    answers = [truncate, honest]

    async def one_after_the_other(writer: asyncio.StreamWriter) -> None:
        await answers.pop(0)(writer)

    async with (
        source_that(one_after_the_other) as url,
        GatewayStore([url], timeouts=PATIENT, public_only=False) as gateway,
    ):
        assert await gateway.get_block(CID) == DATA
    assert answers == []


async def test_gateway__block_absent__is_asked_once_and_does_not_tire_the_source() -> None:
    asked: list[int] = []

    async def absent(writer: asyncio.StreamWriter) -> None:
        asked.append(1)
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    http = ContentHttp(PATIENT, public_only=False)
    async with source_that(absent) as url:
        source = GatewaySource(url, http)
        with pytest.raises(ContentUnavailable, match="404"):
            await source.get_block(CID)
        assert not source.is_resting
        await http.close()
        with pytest.raises(RuntimeError, match="closed"):
            await source.get_block(CID)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (drip, ContentUnavailable),
        (hang, ContentUnavailable),
        (endless, ContentTooLarge),
        (lie, ContentMismatch),
        (truncate, ContentUnavailable),
    ],
)
async def test_kubo__bad_source__is_a_typed_error(fault: Misbehave, error: type[Exception]) -> None:
    async with source_that(fault) as url, KuboStore(url, timeouts=SHORT) as kubo:
        with pytest.raises(error):
            await kubo.get_block(CID)


async def test_fallback__store_killed_midway__reads_on_from_the_next(tmp_path: Path) -> None:
    far = MemoryStore()
    (tmp_path / "file").write_bytes(bytes(range(256)) * 20_000)
    cid = await far.add_path(tmp_path / "file")
    first = ContentServer(far, api_port=0, gateway_port=0)
    await first.start()
    async with ContentServer(far, api_port=0, gateway_port=0) as second:
        urls = [first.gateway_url, second.gateway_url]
        async with GatewayStore(urls, timeouts=PATIENT, public_only=False) as gateway:
            store = FallbackStore(MemoryStore(), [gateway])
            stopping: list[asyncio.Task[None]] = []

            def stop_first(done_bytes: int, _: int | None) -> None:
                if not stopping:
                    stopping.append(asyncio.create_task(first.stop()))

            limits = ContentLimits(max_bytes=10_000_000)
            await store.fetch_tree(cid, tmp_path / "copy", limits=limits, progress=stop_first)
            await stopping[0]
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "file").read_bytes()
