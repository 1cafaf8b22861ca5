"""Endpoints that answer, and only that they are in trouble: the others are asked then."""

import json

import pytest

from decentralized_vllm.chain import endpoint
from decentralized_vllm.chain.chain_view import read_view
from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.ids import Address
from tests.faults.proxy import Fault, FaultProxy
from tests.support.anvil import Anvil
from tests.support.local_network import REQUESTER, connected

WHO = Address(REQUESTER.address)
TROUBLES = [(-32603, "Internal error"), (-32000, "header not found"), (-32002, "unavailable")]


def refusal(code: int, message: str) -> bytes:
    error = {"code": code, "message": message}
    return json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()


@pytest.mark.parametrize(("code", "message"), TROUBLES)
async def test_read__first_endpoint_answers_its_own_trouble__second_answers(
    deployment: Deployment, anvil: Anvil, proxy: FaultProxy, code: int, message: str
) -> None:
    async with connected(deployment, proxy.url, anvil.url) as network:
        proxy.fault, proxy.wrong_answer = Fault.WRONG_ANSWER, refusal(code, message)
        assert await network.coordinator.job_count() == 0
        assert (await read_view(network.rpc, WHO)).block_number > 0


@pytest.mark.parametrize(("code", "message"), TROUBLES)
async def test_read__only_endpoint_answers_its_own_trouble_in_passing__asked_again(
    network: Network, proxy: FaultProxy, code: int, message: str
) -> None:
    proxy.fault, proxy.times = Fault.WRONG_ANSWER, 2
    proxy.wrong_answer = refusal(code, message)
    assert await network.coordinator.job_count() == 0


async def test_read__request_is_refused__asked_once(
    deployment: Deployment, anvil: Anvil, proxy: FaultProxy
) -> None:
    async with connected(deployment, proxy.url, anvil.url) as network:
        proxy.fault, proxy.wrong_answer = Fault.WRONG_ANSWER, refusal(-32601, "no such method")
        with pytest.raises(RpcError, match="no such method"):
            await network.rpc.call("eth_somethingElse")
        assert proxy.counts[Fault.WRONG_ANSWER] == 1


async def test_broadcast__endpoint_that_lags_takes_it__others_are_read_first_all_the_same(
    deployment: Deployment, anvil: Anvil, proxy: FaultProxy
) -> None:
    async with connected(deployment, proxy.url, anvil.url) as network:
        lagging = network.rpc.healthiest()
        lagging.note_lag(1)
        await network.rpc.broadcast(["0x00"])
        assert network.rpc.healthiest() is not lagging


async def test_batch__refused_once__tried_again_in_time(
    network: Network, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "BATCHES_AGAIN_S", 0.0, raising=False)
    proxy.fault, proxy.only, proxy.times = Fault.WRONG_ANSWER, rb"\r\n\r\n *\[", 1
    proxy.wrong_answer = refusal(-32600, "not now")
    await read_view(network.rpc, WHO)
    n_requests = proxy.counts.total()
    await read_view(network.rpc, WHO)
    assert proxy.counts.total() == n_requests + 1


async def test_read__answer_to_another_request__not_believed(
    network: Network, proxy: FaultProxy
) -> None:
    """As a proxy gives that looks at the address alone, or mixes up those who ask."""
    proxy.fault, proxy.only, proxy.times = Fault.WRONG_ANSWER, b"eth_call", 1
    proxy.wrong_answer = b'{"jsonrpc":"2.0","id":4711,"result":"0x%064x"}' % 5
    assert await network.coordinator.job_count() == 0
    assert proxy.counts[Fault.WRONG_ANSWER] == 1
