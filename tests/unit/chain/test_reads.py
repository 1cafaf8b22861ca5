"""Simulations and searches of logs against an endpoint that refuses in passing."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from decentralized_vllm.chain import preparation
from decentralized_vllm.chain.chain_view import read_view
from decentralized_vllm.chain.contracts.coordinator import Coordinator
from decentralized_vllm.chain.deployment import DeployedContract, Deployment, read_deployments
from decentralized_vllm.chain.job_history import JobHistory
from decentralized_vllm.chain.preparation import gas_limit, simulated_gas
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import (
    AbiMismatch,
    ChainUnavailable,
    SettingError,
    TransactionFailed,
    UnknownJob,
)
from decentralized_vllm.protocol.ids import Address, JobId
from decentralized_vllm.protocol.transactions import Call
from tests.support.scripted_chain import COORDINATOR, ScriptedChain

WHO = Address("0x00000000000000000000000000000000000000A1")
CALL = Call(WHO, b"data", "the call")

Answer = Callable[[str, Sequence[Any]], Any]


class ScriptedRpc:
    """Answers each request by a function; an RpcError stands for an answered error."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def call(self, method: str, *parameters: Any) -> Any:
        (answer,) = await self.batch([(method, parameters)])
        if isinstance(answer, RpcError):
            raise answer
        return answer

    def healthiest(self) -> "ScriptedRpc":
        return self

    async def is_left(self, asked: Any) -> bool:
        return False

    async def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return [self._answer(method, parameters) for method, parameters in requests]


def by_method(**answers: Any) -> ScriptedRpc:
    """A list is answered one by one, anything else for ever."""

    def answer(method: str, _: Sequence[Any]) -> Any:
        found = answers[method]
        return found.pop(0) if isinstance(found, list) else found

    return ScriptedRpc(answer)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "jittered_backoff_s", lambda *_: 0)


PASSING = RpcError(-32000, "something about state")


async def test_simulated_gas__estimate_fails_in_passing__asked_again() -> None:
    rpc = by_method(eth_estimateGas=[PASSING, "0x5208"], eth_call="0x", eth_getBalance="0x1")
    assert await simulated_gas(rpc, WHO, [CALL]) == ([21_000], 1)


async def test_simulated_gas__estimate_never_works_though_it_executes__unavailable() -> None:
    rpc = by_method(eth_estimateGas=PASSING, eth_call="0x", eth_getBalance="0x1")
    (error,), _ = await simulated_gas(rpc, WHO, [CALL])
    assert isinstance(error, ChainUnavailable) and "something about state" in error.message


async def test_simulated_gas__no_balance_in_the_answer__unavailable() -> None:
    rpc = by_method(eth_estimateGas="0x5208", eth_getBalance=PASSING)
    with pytest.raises(ChainUnavailable):
        await simulated_gas(rpc, WHO, [CALL])


async def test_simulated_gas__reverts__its_reason() -> None:
    reverted = RpcError(3, "execution reverted", b"")
    rpc = by_method(eth_estimateGas=reverted, eth_call=reverted, eth_getBalance="0x1")
    (error,), _ = await simulated_gas(rpc, WHO, [CALL])
    assert isinstance(error, TransactionFailed)
    assert error.message == "the call reverted without a reason"


async def test_simulated_gas__one_of_several_reverts__the_others_are_estimated() -> None:
    reverted = RpcError(3, "execution reverted", b"")
    rpc = by_method(
        eth_estimateGas=["0x5208", reverted, "0x5209"], eth_call=reverted, eth_getBalance="0x1"
    )
    (first, second, third), _ = await simulated_gas(rpc, WHO, [CALL] * 3)
    assert (first, third) == (21_000, 21_001)
    assert isinstance(second, TransactionFailed)


def test_gas_limit__estimate__a_quarter_more_within_the_most() -> None:
    assert gas_limit(100_000, most=1_000_000, label="x") == 135_000
    assert gas_limit(100_000, most=110_000, label="x") == 110_000


async def test_read_view__node_without_tips_and_pending_nonces__still_a_view() -> None:
    missing = RpcError(-32601, "the method does not exist")

    def answer(method: str, parameters: Sequence[Any]) -> Any:
        if method == "eth_getBlockByNumber":
            return {"number": "0x10", "hash": "0x1", "timestamp": "0x20"}
        if method == "eth_getTransactionCount" and parameters[1] == "latest":
            return "0x7"
        return missing

    view = await read_view(ScriptedRpc(answer), WHO)
    assert (view.block_number, view.nonce, view.pending_nonce) == (16, 7, 7)
    assert (view.tip_wei, view.base_fee_wei) == (0, 0)


@pytest.mark.parametrize("block", [None, {}, {"number": "0x1"}, "0x1", {"number": "what"}])
async def test_read_view__no_sensible_head__unavailable(block: object) -> None:
    rpc = by_method(
        eth_getBlockByNumber=block, eth_getTransactionCount="0x0", eth_maxPriorityFeePerGas="0x0"
    )
    with pytest.raises(ChainUnavailable):
        await read_view(rpc, WHO)


async def test_read__contract_not_there_yet_at_a_lagging_head__unavailable() -> None:
    with pytest.raises(ChainUnavailable, match="no contract at its head"):
        await Coordinator(by_method(eth_call="0x"), WHO).job_count()


async def test_read__answer_of_another_shape__abi_mismatch() -> None:
    with pytest.raises(AbiMismatch, match="contract_address"):
        await Coordinator(by_method(eth_call="0x1234"), WHO).clocks()


class RefusingLogs(ScriptedRpc):
    """The scripted chain's logs as an `Rpc` serves them."""

    def __init__(self, chain: ScriptedChain) -> None:
        super().__init__(chain._answer)


async def test_events__ranges_refused__found_in_narrower_ones() -> None:
    chain = ScriptedChain(head=5_000, jobs={1: 37}, widest=300)
    history = JobHistory(RefusingLogs(chain), COORDINATOR, 0)
    with pytest.raises(UnknownJob):
        await history.request(JobId(1))  # the script knows no InferenceRequested
    assert min(first for first, _ in chain.asked) == 0
    assert chain.asked[0] == (3_001, 5_000)


async def test_events__even_one_block_refused__unavailable() -> None:
    history = JobHistory(RefusingLogs(ScriptedChain(head=10, widest=0)), COORDINATOR, 0)
    with pytest.raises(ChainUnavailable):
        await history.request(JobId(1))


def contract(block: int) -> DeployedContract:
    return DeployedContract(
        address=WHO, block=block, transaction="0x1", abi_hash="0x2", arguments={"a": {"b": 1}}
    )


def test_read_deployments__written_by_chain_id__read_back(tmp_path: Path) -> None:
    deployment = Deployment(
        chain_id=5, contracts={"coordinator": contract(8), "token": contract(7)}
    )
    path = tmp_path / "deployment.json"
    path.write_text(f'{{"5": {deployment.model_dump_json()}}}')
    read = read_deployments(path)
    assert read == {5: deployment}
    assert (read[5].coordinator.block, read[5].first_block) == (8, 7)


@pytest.mark.parametrize("content", ["", "[]", '{"5": {}}', '{"x": {"chain_id": 1}}'])
def test_read_deployments__something_else__setting_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(content)
    with pytest.raises(SettingError, match="deployment"):
        read_deployments(path)


def test_read_deployments__no_file__setting_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="deployment"):
        read_deployments(tmp_path / "none.json")
