"""What nodes answer to a broadcast and in error objects, in their many spellings."""

import asyncio

import pytest

from decentralized_vllm.chain.broadcast import Verdict, verdict_on
from decentralized_vllm.chain.heads import HeadHints
from decentralized_vllm.chain.rpc_errors import RpcError, rpc_error
from decentralized_vllm.protocol.errors import ChainUnavailable


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
