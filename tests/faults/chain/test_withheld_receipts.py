"""Endpoints that do not show what was mined: nothing is sent a second time for that."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from decentralized_vllm.chain.endpoint import Json, Request
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.protocol.errors import ChainUnavailable
from tests.support.anvil import Anvil
from tests.support.local_network import REQUESTER, prompt_call, sending
from tests.support.waiting import wait_until

BLOCK = "eth_getBlockByNumber"
RECEIPT = "eth_getTransactionReceipt"
N_BLOCKS = 8  # more than the sender takes for a nonce that is lost


class Forgetful(Rpc):
    """The true chain, but for a while `answers` to who asks for `among` others, or no old blocks.

    Blocks below `oldest` are forgotten for good. `n_asked` counts what was not answered truly.
    """

    def __init__(self, url: str) -> None:
        super().__init__([url])
        self.answers: dict[str, Json] = {}
        self.among = RECEIPT
        self.hides_blocks = False
        self.oldest = 0
        self.is_down = False
        self.n_asked = 0

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        if self.is_down:
            raise ChainUnavailable("it is down")
        answers = await super().batch(requests)
        methods = [method for method, _ in requests]
        if self.answers and self.among in methods:
            self.n_asked += 1
            return [self.answers.get(m, a) for m, a in zip(methods, answers, strict=True)]
        if self.hides_blocks and set(methods) == {BLOCK}:
            self.n_asked += 1
            return [None] * len(answers)
        return [
            None if self._is_pruned(request) else answer
            for request, answer in zip(requests, answers, strict=True)
        ]

    def _is_pruned(self, request: Request) -> bool:
        method, parameters = request
        return (
            method == BLOCK and parameters[0] != "latest" and int(parameters[0], 16) < self.oldest
        )


@pytest.fixture
async def forgetful(anvil: Anvil) -> AsyncIterator[Forgetful]:
    async with Forgetful(anvil.url) as rpc:
        yield rpc


async def is_mined_once(network: Network, anvil: Anvil, sender: OutboxSender) -> None:
    for _ in range(3):
        anvil.mine()
    await sender.wait("job")
    assert await network.coordinator.job_count() == 1
    nonce = anvil.call("eth_getTransactionCount", REQUESTER.address, "pending")
    assert int(nonce, 16) == await _nonce_of(network)


async def _nonce_of(network: Network) -> int:
    return int(await network.rpc.call("eth_getTransactionCount", REQUESTER.address, "latest"), 16)


async def another_look(rpc: Forgetful) -> None:
    seen = rpc.n_asked
    await wait_until(lambda: rpc.n_asked > seen, what="a look at receipts")


async def test_send__no_receipt_before_and_after_an_outage__not_sent_again(
    network: Network, anvil: Anvil, forgetful: Forgetful, tmp_path: Path
) -> None:
    """Two looks many blocks apart are two looks."""
    async with sending(replace(network, rpc=forgetful), REQUESTER, tmp_path) as sender:
        forgetful.answers = {RECEIPT: None}
        await sender.send(prompt_call(network), key="job")
        await another_look(forgetful)
        forgetful.is_down = True
        for _ in range(N_BLOCKS):
            anvil.mine()
        forgetful.is_down = False
        await another_look(forgetful)
        forgetful.answers = {}
        await is_mined_once(network, anvil, sender)


async def test_send__receipts_from_a_node_that_lags__not_sent_again(
    network: Network, anvil: Anvil, forgetful: Forgetful, tmp_path: Path
) -> None:
    """Behind one name may be several nodes: one shows the nonce used, another has no receipt."""
    before = await _nonce_of(network)
    async with sending(replace(network, rpc=forgetful), REQUESTER, tmp_path) as sender:
        forgetful.answers = {RECEIPT: None, "eth_getTransactionCount": hex(before)}
        await sender.send(prompt_call(network), key="job")
        for _ in range(N_BLOCKS):
            anvil.mine()
            await another_look(forgetful)
        await another_look(forgetful)
        forgetful.answers = {}
        await is_mined_once(network, anvil, sender)


async def test_wait__block_is_not_shown_for_a_while__was_not_abandoned(
    network: Network,
    anvil: Anvil,
    forgetful: Forgetful,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with sending(replace(network, rpc=forgetful), REQUESTER, tmp_path) as sender:
        await sender.send(prompt_call(network), key="job")
        await sender.wait("job")
        forgetful.hides_blocks = True
        await another_look(forgetful)
        await another_look(forgetful)
        forgetful.hides_blocks = False
        await is_mined_once(network, anvil, sender)
    assert "transactions_unmined" not in caplog.messages


async def test_send__block_of_the_one_before_is_long_forgotten__mined(
    network: Network, anvil: Anvil, forgetful: Forgetful, tmp_path: Path
) -> None:
    """After a long stop: what was mined before it lies deeper than the node shows."""
    forgotten = replace(network, rpc=forgetful)
    async with sending(network, REQUESTER, tmp_path) as sender:
        await sender.send(prompt_call(network), key="before")
        await sender.wait("before")
    anvil.mine(100)
    forgetful.oldest = anvil.block_number() - 20
    async with sending(forgotten, REQUESTER, tmp_path) as sender:
        await sender.send(prompt_call(network), key="after")
        await asyncio.wait_for(sender.wait("after"), 20)
        await sender.wait("before")
    assert await network.coordinator.job_count() == 2


async def test_send__nonce_of_a_node_that_lags__no_gap_below_what_was_mined(
    network: Network,
    anvil: Anvil,
    forgetful: Forgetful,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = await _nonce_of(network)
    async with sending(replace(network, rpc=forgetful), REQUESTER, tmp_path) as sender:
        await sender.send(prompt_call(network), key="mined")
        await sender.wait("mined")
        anvil.call("evm_setAutomine", False)
        await sender.send(prompt_call(network), key="job")
        forgetful.among = "eth_maxPriorityFeePerGas"
        forgetful.answers = {"eth_getTransactionCount": hex(before)}
        for _ in range(N_BLOCKS):
            anvil.mine()
            await another_look(forgetful)
        forgetful.answers = {}
        anvil.mine()
        await sender.wait("job")
    assert "nonce_gap_filled" not in caplog.messages
    assert await network.coordinator.job_count() == 2
