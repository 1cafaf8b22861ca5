"""A transaction counts as asked for when it is on its way, whatever its endpoint says, and when."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from decentralized_vllm.chain.intake import OFFERS_AT_ONCE, Sending
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.sender import OutboxSender
from tests.support.local_network import REQUESTER, prompt_call, sending


@pytest.fixture
def answers(network: Network, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The chain's node takes transactions, and says so only when this is set."""
    may_answer, ask = asyncio.Event(), network.rpc.broadcast

    async def broadcast(raws: Sequence[str]) -> Any:
        said = await ask(raws)
        await may_answer.wait()
        return said

    monkeypatch.setattr(network.rpc, "broadcast", broadcast)
    return may_answer


async def stored(network: Network, sender: OutboxSender, key: str) -> Sending:
    call = prompt_call(network)
    return await sender.store_new(call, key=key, simulation=await sender.simulate(call))


async def test_store_new__node_is_slow_to_answer__asked_before_it_does(
    network: Network, tmp_path: Path, answers: asyncio.Event
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        new = await stored(network, sender, "new")
        await new.asked
        assert (await sender.wait("new")).tx_hash == new.outgoing.latest.hash
        assert not new.offered.done()
        answers.set()
        assert (await new.offered).key == "new"


async def test_store_new__closed_before_its_turn__whoever_waits_is_told(
    network: Network, tmp_path: Path, answers: asyncio.Event
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        for number in range(OFFERS_AT_ONCE):
            await (await stored(network, sender, f"on its way {number}")).asked
        last = await stored(network, sender, "last")
        assert not last.asked.done()
    assert last.asked.cancelled()
    assert not answers.is_set()
