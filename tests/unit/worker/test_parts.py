"""Small parts of the worker: nonces, eviction, clock, logs, retention, settings."""

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from decentralized_vllm.content.file_blocks import FileBlocks
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.process.stopping import StopSignals
from decentralized_vllm.protocol.errors import (
    InvalidCid,
    InvalidSignature,
    SettingError,
    StorageFull,
    UnsafeModel,
)
from decentralized_vllm.protocol.ids import Address, Cid, ModelId, VersionNumber
from dvllm_worker.clock import ChainClock
from dvllm_worker.doctor import check_content, check_disk
from dvllm_worker.housekeeping import outdated_cids
from dvllm_worker.http.nonces import NonceBook
from dvllm_worker.logs import JsonFormatter, MaskingFormatter, stage_fields
from dvllm_worker.models.cache import ModelCache
from dvllm_worker.models.eviction import CachedModel, choose_victims
from dvllm_worker.models.served import ServedModel
from dvllm_worker.pipeline.stages import Stage
from dvllm_worker.settings import load_settings
from tests.support.jobs import ME, PROMPT_CID, RESPONSE_CID, row

# ---------------------------------------------------------------- nonces


def test_nonce__twice__refused_until_the_window_is_over() -> None:
    book = NonceBook(window_s=600)
    book.use(ME, "n", now_s=0)
    with pytest.raises(InvalidSignature):
        book.use(ME, "n", now_s=600)
    book.use(ME, "n", now_s=601)


def test_nonce__of_another_wallet__is_another() -> None:
    book = NonceBook()
    book.use(ME, "n", now_s=0)
    book.use(Address("0x" + "1" * 40), "n", now_s=0)


# ---------------------------------------------------------------- model cache

OLD = CachedModel(Cid("old"), 40, 1.0)
NEW = CachedModel(Cid("new"), 40, 2.0)


def victims(needed: int, *, held: frozenset[str] = frozenset(), free: int = 1000) -> list[str]:
    chosen = choose_victims(
        [NEW, OLD],
        needed_bytes=needed,
        max_bytes=100,
        free_bytes=free,
        held=frozenset(Cid(cid) for cid in held),
    )
    return [model.cid for model in chosen]


def test_eviction__room_enough__nobody_goes() -> None:
    assert victims(20) == []


def test_eviction__over_the_limit__least_recently_used_goes_first() -> None:
    assert victims(21) == ["old"]
    assert victims(61) == ["old", "new"]


def test_eviction__held_model__never_goes() -> None:
    assert victims(21, held=frozenset({"old"})) == ["new"]
    with pytest.raises(StorageFull, match=r"models\.max_bytes"):
        victims(61, held=frozenset({"old"}))


def test_eviction__disk_nearly_full__makes_room_there_too() -> None:
    assert victims(10, free=5) == ["old"]


async def model_in(store: MemoryStore, folder: Path, name: str, text: str) -> ServedModel:
    path = folder / name
    path.mkdir()
    (path / "config.json").write_text(text)
    return ServedModel(VersionNumber(1), ModelId(name), await store.add_path(path))


@asynccontextmanager
async def cache_over(
    store: ContentReads, folder: Path, check: Callable[[Path], None] = lambda _: None
) -> AsyncIterator[tuple[ModelCache, FileBlocks]]:
    """Room for one of the models below."""

    @asynccontextmanager
    async def origin(_: ServedModel) -> AsyncIterator[ContentReads]:
        yield store

    async with FileBlocks(folder / "cache") as blocks:
        yield (
            ModelCache(
                folder / "cache", origin, blocks, check, max_bytes=4000, max_model_bytes=10_000
            ),
            blocks,
        )


async def test_cache__fetched_once_checked_and_evicted_by_use(tmp_path: Path) -> None:
    store, checked = MemoryStore(), []
    first = await model_in(store, tmp_path, "first", "a" * 3000)
    second = await model_in(store, tmp_path, "second", "b" * 3000)
    async with cache_over(store, tmp_path, checked.append) as (cache, _):
        path = await cache.ensure(first)
        assert await cache.ensure(first) == path
        assert len(checked) == 1
        await cache.ensure(second)
        assert not path.exists()


async def test_cache__fetched_model__is_offered_until_it_is_evicted(tmp_path: Path) -> None:
    store = MemoryStore()
    first = await model_in(store, tmp_path, "first", "a" * 3000)
    second = await model_in(store, tmp_path, "second", "b" * 3000)
    async with cache_over(store, tmp_path) as (cache, blocks):
        path = await cache.ensure(first)
        offered = [block async for block in blocks.blocks_below(first.model_cid)]
        assert offered == [block async for block in store.blocks_below(first.model_cid)]
        await cache.ensure(second)
        assert not path.exists()
        assert not await blocks.has_block(first.model_cid)
        assert await blocks.has_block(second.model_cid)


async def test_cache__model_being_served__is_not_evicted(tmp_path: Path) -> None:
    store = MemoryStore()
    first = await model_in(store, tmp_path, "first", "a" * 3000)
    second = await model_in(store, tmp_path, "second", "b" * 3000)
    async with cache_over(store, tmp_path) as (cache, _):
        path = await cache.ensure(first)
        with cache.holding(first.model_cid), pytest.raises(StorageFull):
            await cache.ensure(second)
        assert path.exists()


async def test_cache__unsafe_model__refused_not_kept_and_not_offered(tmp_path: Path) -> None:
    store = MemoryStore()
    model = await model_in(store, tmp_path, "bad", "{}")

    def refuse(path: Path) -> None:
        raise UnsafeModel("it could run code")

    async with cache_over(store, tmp_path, refuse) as (cache, blocks):
        with pytest.raises(UnsafeModel):
            await cache.ensure(model)
        assert not (tmp_path / "cache" / model.model_cid).exists()
        assert not (tmp_path / "cache" / "fetched" / model.model_cid).exists()
        assert not await blocks.has_block(model.model_cid)


async def test_cache__cid_that_is_a_path__is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    model = ServedModel(VersionNumber(1), ModelId("odd"), Cid("../elsewhere"))
    async with cache_over(MemoryStore(), tmp_path) as (cache, _):
        with pytest.raises(InvalidCid):
            await cache.ensure(model)


# ---------------------------------------------------------------- clock


class Blocks:
    def __init__(self, timestamp_s: int) -> None:
        self.timestamp_s = timestamp_s

    async def chain_time_s(self) -> int:
        return self.timestamp_s


async def test_clock__follows_the_chain_and_not_the_machine() -> None:
    blocks = Blocks(5_000_000_000)
    clock = ChainClock(blocks)
    await clock.refresh()
    assert 5_000_000_000 <= clock.now_s() < 5_000_000_060


async def test_clock__between_blocks__goes_on() -> None:
    clock = ChainClock(Blocks(1000))
    await clock.refresh()
    first = clock.now_s()
    await clock.sleep_s(0.02)
    assert clock.now_s() > first


async def test_clock__learns_of_a_later_block_and_ignores_an_earlier_one() -> None:
    clock = ChainClock(Blocks(1000))
    await clock.refresh()
    clock.learn(1010)
    assert 1010 <= clock.now_s() < 1020
    clock.learn(1005)
    assert clock.now_s() >= 1010


# ---------------------------------------------------------------- logs


def record(text: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("x", logging.INFO, "", 0, text, (), None)
    made.__dict__.update(extra)
    return made


def test_formatter__secret_in_message_field_or_trace__masked() -> None:
    secret = "ab" * 32
    for formatter in (MaskingFormatter([secret]), JsonFormatter([secret])):
        line = formatter.format(record(f"key 0x{secret}", url=f"http://u:{secret}@host"))
        assert secret not in line and "***" in line


def test_json_formatter__one_object_with_its_fields() -> None:
    entry = json.loads(JsonFormatter([]).format(record("job 7 leased", job_id=7)))
    assert (entry["event"], entry["job_id"], entry["level"]) == ("job 7 leased", 7, "info")


@pytest.mark.parametrize("value", [2**80, "half \ud800 a character", b"\xff", ValueError("x")])
def test_json_formatter__a_field_that_json_does_not_know__still_one_line(value: object) -> None:
    line = JsonFormatter([]).format(record("odd", value=value))
    assert json.loads(line)["event"] == "odd"
    assert "\n" not in line


@pytest.mark.parametrize("stage", list(Stage))
def test_stage_fields__any_stage__no_prompt_and_no_answer(stage: Stage) -> None:
    assert {"prompt", "text"}.isdisjoint(stage_fields(row(1, stage)))


# ---------------------------------------------------------------- retention


def test_outdated__only_what_no_younger_job_needs() -> None:
    old = row(1, Stage.FINAL, response_cid=RESPONSE_CID, updated_s=10.0)
    young = row(2, Stage.FINAL, updated_s=100.0)
    assert outdated_cids([old, young], 50.0) == {RESPONSE_CID}
    assert outdated_cids([old], 50.0) == {RESPONSE_CID, PROMPT_CID}
    assert outdated_cids([replace(old, updated_s=60.0)], 50.0) == set()


# ---------------------------------------------------------------- settings


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CHAIN__CONTRACT_ADDRESS", "CHAIN__ETH_NODE_URL", "NODE__SLOTS"):
        monkeypatch.delenv(f"DVLLM_WORKER__{name}", raising=False)
    path = tmp_path / "worker.toml"
    path.write_text('[chain]\ncontract_address = "0xfile"\n[node]\nslots = 3\n')
    return path


def test_settings__file_then_environment_then_flags(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(toml, {}).chain.contract_address == "0xfile"
    monkeypatch.setenv("DVLLM_WORKER__CHAIN__CONTRACT_ADDRESS", "0xenvironment")
    monkeypatch.setenv("DVLLM_WORKER__CHAIN__ETH_NODE_URL", "http://a, http://b")
    settings = load_settings(toml, {})
    assert settings.chain.contract_address == "0xenvironment"
    assert settings.chain.eth_node_url == ("http://a", "http://b")
    assert settings.node.slots == 3
    flags = {"chain": {"contract_address": "0xflag"}}
    assert load_settings(toml, flags).chain.contract_address == "0xflag"


def test_settings__wrong_field__named_without_its_value(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVLLM_WORKER__NODE__SLOTS", "hunter2")
    with pytest.raises(SettingError, match=r"node\.slots") as caught:
        load_settings(toml, {})
    assert "hunter2" not in str(caught.value)


def test_settings__no_such_file__named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--config"):
        load_settings(tmp_path / "none.toml", {})


# ---------------------------------------------------------------- doctor and signals


def test_doctor__folder_that_does_not_exist_yet__looks_at_its_parent(tmp_path: Path) -> None:
    assert check_disk(tmp_path / "a" / "b").name == "disk"


def test_doctor__no_gateways__says_what_to_set(toml: Path) -> None:
    assert "content.gateways" in check_content(load_settings(toml, {})).mends[0]


def test_stop_signals__first_drains_second_ends() -> None:
    stops = StopSignals()
    stops.request()
    assert stops.drain.is_set() and not stops.at_once.is_set()
    stops.request()
    assert stops.at_once.is_set()
