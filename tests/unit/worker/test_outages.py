"""A store that does not answer keeps new jobs away, until it answers."""

import asyncio
from pathlib import Path

import pytest

from dvllm_worker import outages as outages_module
from dvllm_worker.outages import GATEWAYS, MIRROR, Outages
from tests.support.node_resources import DECLARED_SLOTS, Told, allotment_in
from tests.support.waiting import wait_until


class Store:
    def __init__(self) -> None:
        self.is_up = False

    async def answers(self) -> bool:
        return self.is_up


def test_report__unknown_setting__nothing_could_bring_it_back(tmp_path: Path) -> None:
    allotment = allotment_in(tmp_path, Told())
    outages = Outages({}, allotment)
    outages.report(GATEWAYS, "none of them answers")
    assert outages.why_paused is None
    assert allotment.slots_on_offer == DECLARED_SLOTS


async def test_two_stores_out__offered_again_when_both_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages_module, "PROBE_EVERY_S", 0.01)
    told, gateways, mirror = Told(), Store(), Store()
    allotment = allotment_in(tmp_path, told)
    outages = Outages({GATEWAYS: gateways.answers, MIRROR: mirror.answers}, allotment)
    loops = [
        asyncio.create_task(outages.run()),
        asyncio.create_task(allotment.follow(lambda: False)),
    ]
    for _ in range(2):
        outages.report(GATEWAYS, "none of them answers")
    outages.report(MIRROR, "refused")
    assert outages.why_paused == (
        "content.gateways: none of them answers; content.mirror_api: refused"
    )
    assert (allotment.slots_on_offer, allotment.slots) == (0, DECLARED_SLOTS)
    await wait_until(lambda: told.slots == [0], what="the pause on chain")

    gateways.is_up = True
    await wait_until(
        lambda: outages.why_paused == "content.mirror_api: refused", what="the gateways' return"
    )
    assert allotment.slots_on_offer == 0
    mirror.is_up = True
    await wait_until(lambda: told.slots == [0, DECLARED_SLOTS], what="the offer on chain")
    assert outages.why_paused is None
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
