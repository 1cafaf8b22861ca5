"""What nodes answer to a broadcast and in error objects, in their many spellings."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from decentralized_vllm.chain.broadcast import Verdict, broadcast, verdict_on
from decentralized_vllm.chain.fees import Fees
from decentralized_vllm.chain.heads import HeadHints
from decentralized_vllm.chain.outgoing import Attempt
from decentralized_vllm.chain.rpc_errors import RpcError, rpc_error
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import TxHash, Wei

ATTEMPT = Attempt(TxHash("0x12"), b"raw", 0, Fees(Wei(2), Wei(1)))


@dataclass
class Refusing:
    """An only endpoint that takes nothing."""

    error: RpcError

    async def broadcast(self, raw: Sequence[str]) -> list[list[RpcError]]:
        return [[self.error]] * len(raw)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("0xabc", Verdict.TAKEN),
        (RpcError(-32000, "already known"), Verdict.TAKEN),
        (RpcError(-32003, "transaction already imported"), Verdict.TAKEN),
        (RpcError(-32000, "ALREADY_EXISTS: already known"), Verdict.TAKEN),
        (RpcError(-32000, "known transaction: 0x12"), Verdict.TAKEN),
        (RpcError(-32000, "unknown transaction"), Verdict.UNKNOWN),
        (RpcError(-32000, "nonce too low"), Verdict.UNKNOWN),
        (RpcError(-32000, "replacement transaction underpriced"), Verdict.UNDERPRICED),
        (RpcError(-32000, "max fee per gas less than block base fee"), Verdict.UNDERPRICED),
        (RpcError(-32010, "FeeTooLow, MaxFeePerGas too low"), Verdict.UNDERPRICED),
        (RpcError(-32000, "insufficient funds for gas * price + value"), Verdict.UNKNOWN),
        (ChainUnavailable("no answer in time"), Verdict.UNKNOWN),
        (None, Verdict.UNKNOWN),
    ],
)
def test_verdict_on__answer__verdict(answer: object, verdict: Verdict) -> None:
    assert verdict_on(answer) is verdict


@pytest.mark.parametrize(
    ("reason", "is_told"),
    [("Insufficient funds for gas * price + value", True), ("nonce too low", False)],
)
async def test_broadcast__refused_for_want_of_money__whoever_reads_the_log_is_warned(
    reason: str, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rpc: Any = Refusing(RpcError(-32003, reason))
    assert await broadcast(rpc, [ATTEMPT]) == {ATTEMPT.hash: Verdict.UNKNOWN}
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert bool(warned) is is_told


@pytest.mark.parametrize(
    ("answer", "data", "is_revert"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0x1234"}, b"\x12\x34", True),
        ({"code": -32000, "message": "x", "data": {"data": "0x1234"}}, b"\x12\x34", True),
        ({"code": -32015, "message": "VM execution error: revert"}, None, True),
        ({"code": -32000, "message": "header not found", "data": "odd"}, None, False),
        ({"code": -32000, "message": "x", "data": "0xzz"}, None, False),
        ({"code": "5", "message": None}, None, False),
        ("what?", None, False),
    ],
)
def test_rpc_error__any_shape__code_and_data(
    answer: object, data: bytes | None, is_revert: bool
) -> None:
    error = rpc_error(answer)
    assert (error.data, error.is_revert) == (data, is_revert)
    assert isinstance(error.code, int)


@pytest.mark.parametrize(("code", "is_limit"), [(429, True), (-32005, True), (-32000, False)])
def test_rpc_error__code_of_a_limit__rate_limit(code: int, is_limit: bool) -> None:
    assert RpcError(code, "").is_rate_limit is is_limit


async def test_hints__none_come__wait_ends_with_the_timeout() -> None:
    hints = HeadHints()
    async with asyncio.timeout(5):
        await hints.wait(hints.count, 0.01)


async def test_hints__without_a_url__run_ends_at_once() -> None:
    async with asyncio.timeout(5):
        await HeadHints().run()
