"""What shares of the machine come to, and how they are put in force."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from dvllm_worker.resources import allotment as allotment_module
from dvllm_worker.resources.cores import available_cores, keep_to
from dvllm_worker.resources.gate import SlotGate
from dvllm_worker.resources.meter import Meter
from dvllm_worker.resources.nvml import NvmlMeter
from dvllm_worker.resources.offer import offered_shares
from dvllm_worker.resources.shares import AboveLimits, Shares, changed, clipped, cores_of, slots_of
from dvllm_worker.settings import ModelsSection, NodeSection, WorkerSettings
from tests.support.node_resources import DECLARED_SLOTS, GIB, LIMITS, NoGpu, Told, allotment_in
from tests.support.waiting import wait_until

WHOLE = Shares(100.0, 100.0, 100.0, 100.0)


@pytest.mark.parametrize(
    ("allocation", "slots"),
    [
        (Shares(100, 100, 100, 0), 10),
        (Shares(50, 100, 100, 100), 5),
        (Shares(100, 25, 100, 100), 2),
        (Shares(100, 100, 1, 100), 1),
        (Shares(100, 0, 100, 100), 0),
    ],
)
def test_slots__follow_the_scarcest(allocation: Shares, slots: int) -> None:
    assert slots_of(allocation, WHOLE, 10) == slots


def test_slots__what_the_machine_lacks__limits_nothing() -> None:
    assert slots_of(Shares(90, 80, 0, 0), Shares(90, 80, 0, 0), 10) == 10


@pytest.mark.parametrize(("cpu", "cores"), [(100, 8), (50, 4), (13, 2), (12.5, 1), (0, 1)])
def test_cores__are_whole_and_at_least_one(cpu: float, cores: int) -> None:
    assert cores_of(cpu, 8) == cores


def test_changed__above_one_limit__changes_nothing() -> None:
    with pytest.raises(AboveLimits, match="memory: 81 percent"):
        changed(LIMITS, {"cpu": 1.0, "memory": 81.0}, LIMITS)
    assert changed(LIMITS, {"cpu": 1.0}, LIMITS) == Shares(1.0, 80.0, 0.0, 50.0)


def test_clipped__limits_that_fell__are_kept_to() -> None:
    assert clipped(WHOLE, LIMITS) == LIMITS


async def test_gate__made_smaller__lets_nobody_in_until_there_is_room() -> None:
    gate = SlotGate(2)
    order: list[str] = []

    async def enter() -> None:
        async with gate:
            order.append("entered")

    async with gate, gate:
        await gate.resize(1)
        waiting = asyncio.create_task(enter())
        await asyncio.sleep(0)
        order.append("still full")
    await waiting
    assert order == ["still full", "entered"]


async def test_gate__made_larger__lets_waiting_ones_in() -> None:
    gate = SlotGate(0)
    waiting = asyncio.create_task(gate.__aenter__())
    await asyncio.sleep(0)
    assert not waiting.done()
    await gate.resize(1)
    await waiting


async def test_gate__holder_is_cancelled__slot_is_free_again() -> None:
    gate = SlotGate(1)

    async def hold() -> None:
        async with gate:
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0)
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)
    async with asyncio.timeout(1), gate:
        pass


async def test_allotment__changed__cache_slots_and_file_follow(tmp_path: Path) -> None:
    told = Told()
    allotment = allotment_in(tmp_path, told)
    await allotment.change({"cpu": 50.0, "memory": 40.0, "storage": 20.0})
    assert (allotment.slots, told.cache_bytes) == (DECLARED_SLOTS // 2, 20 * GIB)
    assert len(told.cores) == cores_of(50.0, os.cpu_count() or 1)
    again = allotment_in(tmp_path, told)
    assert again.allocation == Shares(50.0, 40.0, 0.0, 20.0)
    await again.change({"storage": 50.0})
    assert told.cache_bytes == 50 * GIB


async def test_allotment__two_changes_at_once__both_are_kept(tmp_path: Path) -> None:
    allotment = allotment_in(tmp_path, Told())
    await asyncio.gather(*(allotment.change({name: 10.0}) for name in ("cpu", "memory", "storage")))
    assert allotment.allocation == Shares(10.0, 10.0, 0.0, 10.0)
    assert allotment_in(tmp_path, Told()).allocation == allotment.allocation


async def test_allotment__file_of_somebody_else__all_is_allotted(tmp_path: Path) -> None:
    (tmp_path / "resources.json").write_text("{}")
    assert allotment_in(tmp_path, Told()).allocation == LIMITS


async def test_allotment__chain_is_away__told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allotment_module, "RETRY_S", 0.0)
    told = Told(silent=2)
    allotment = allotment_in(tmp_path, told)
    following = asyncio.create_task(allotment.follow(lambda: False))
    await allotment.change({"cpu": 50.0})
    await wait_until(lambda: bool(told.slots), what="the chain to be told")
    following.cancel()
    assert told.slots == [DECLARED_SLOTS // 2]


async def test_allotment__node_drains__its_pause_stays(tmp_path: Path) -> None:
    told = Told()
    allotment = allotment_in(tmp_path, told)
    following = asyncio.create_task(allotment.follow(lambda: True))
    await allotment.change({"cpu": 50.0})
    for _ in range(10):
        await asyncio.sleep(0)
    following.cancel()
    assert told.slots == []


@pytest.mark.skipif(len(available_cores()) < 2, reason="needs two cores of Linux")
def test_keep_to__one_core__holds_for_every_thread() -> None:
    before = available_cores()
    try:
        keep_to(before[:1])
        threads = [thread.id for thread in psutil.Process().threads()]
        assert {frozenset(os.sched_getaffinity(thread)) for thread in threads} == {
            frozenset(before[:1])
        }
    finally:
        keep_to(before)


def test_meter__this_machine__within_the_whole(tmp_path: Path) -> None:
    models = tmp_path / "models"
    meter = Meter(models, NoGpu())
    assert meter.node().storage == 0
    models.mkdir()
    (models / "weights").write_bytes(bytes(64 << 20))
    node, machine = meter.node(), meter.machine()
    assert 0 < node.memory <= machine.memory <= 100
    assert node.gpu == machine.gpu == 0
    assert meter.disk_bytes > 64 << 20


def test_offer__settings_in_percent_of_the_machine(tmp_path: Path) -> None:
    meter = Meter(tmp_path, NoGpu())
    n_cores = psutil.cpu_count() or 1
    settings = WorkerSettings(
        node=NodeSection(max_cpu_percent=50 * n_cores),
        models=ModelsSection(max_bytes=meter.disk_bytes // 4),
    )
    assert offered_shares(settings, meter) == Shares(50.0, 100.0, 0.0, 25.0)


def test_nvml__machine_without_a_gpu__measures_nothing() -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has an NVIDIA device")
    assert NvmlMeter().measure() is None
