"""Calls of tools in signed answers: as asked for, bounded, and nothing else."""

import json
from dataclasses import replace

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.canonical_json import encode
from decentralized_vllm.protocol.errors import InvalidReceipt, InvalidResponse
from decentralized_vllm.protocol.generation import (
    FinishReason,
)
from decentralized_vllm.protocol.responses import parse_response
from decentralized_vllm.protocol.tools import MAX_CALLS, Tool, ToolCall, Tools, check_calls
from tests.support import vectors
from tests.support.tool_strategies import (
    CALLS,
)

DOCUMENTS = vectors.load("documents")
CASE = DOCUMENTS["responses"][0]
NODE = Account.from_key(CASE["private_key"])
CALL = ToolCall("call_1", "f", '{"a":1}')


CHOSEN = Tools((Tool("f"), Tool("g")))


@pytest.mark.parametrize(
    ("tools", "names", "is_cut"),
    [
        (None, [], False),
        (CHOSEN, [], False),
        (CHOSEN, ["f", "g", "f"], False),
        (replace(CHOSEN, are_parallel=False), ["g"], False),
        (replace(CHOSEN, named="g"), ["g"], False),
        (replace(CHOSEN, named="g"), [], True),
        (replace(CHOSEN, must_call=True), [], True),
    ],
)
def test_check_calls__as_asked__pass(tools, names, is_cut):
    check_calls(tools, [ToolCall("1", name, "") for name in names], is_cut=is_cut)


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        (None, ["f"]),
        (CHOSEN, ["h"]),
        (CHOSEN, ["f"] * (MAX_CALLS + 1)),
        (replace(CHOSEN, are_parallel=False), ["f", "g"]),
        (replace(CHOSEN, named="g"), ["f"]),
        (replace(CHOSEN, named="g"), ["g", "g"]),
        (replace(CHOSEN, named="g"), []),
        (replace(CHOSEN, must_call=True), []),
    ],
)
def test_check_calls__lies__are_refused(tools, names):
    with pytest.raises(InvalidResponse, match="tool_calls"):
        check_calls(tools, [ToolCall("1", name, "") for name in names], is_cut=False)


def answer(*calls, finish_reason=FinishReason.TOOL_CALLS):
    document = parse_response(CASE["canonical"].encode())
    return replace(document, tool_calls=calls, finish_reason=finish_reason, signature=b"")


@given(CALLS, st.sampled_from([FinishReason.TOOL_CALLS, FinishReason.LENGTH]))
def test_response__calls__are_signed_and_read_back_equal(calls, finish_reason):
    signed = answer(*calls, finish_reason=finish_reason).sign(NODE)
    read = parse_response(signed.to_bytes())
    assert read == signed
    read.verify(read.request, CASE["node"])
    other = replace(read, tool_calls=(replace(calls[0], arguments="{} "), *calls[1:]))
    with pytest.raises(InvalidReceipt):
        other.verify(read.request, CASE["node"])


@pytest.mark.parametrize("case", DOCUMENTS["tool_responses"], ids=lambda case: case["name"])
def test_response__vector__reads_signs_and_writes_exactly_these_bytes(case):
    document = parse_response(case["canonical"].encode())
    assert document.receipt.body_digest == vectors.unhex(case["body_digest"])
    node = Account.from_key(case["private_key"])
    assert replace(document, signature=b"").sign(node).to_bytes() == case["canonical"].encode()


@pytest.mark.parametrize(
    ("calls", "finish_reason"),
    [
        ((CALL,), FinishReason.STOP),
        ((), FinishReason.TOOL_CALLS),
    ],
)
def test_response__end_and_calls_at_odds__is_refused(calls, finish_reason):
    with pytest.raises(InvalidResponse, match="ends by"):
        answer(*calls, finish_reason=finish_reason).sign(NODE)


@pytest.mark.parametrize(
    "call",
    [
        replace(CALL, id=""),
        replace(CALL, id="a b"),
        replace(CALL, id="x" * 129),
        replace(CALL, name="a.b"),
        replace(CALL, name="x" * 65),
        replace(CALL, name="f\n"),
    ],
)
def test_response__call_out_of_bounds__is_refused(call):
    with pytest.raises(InvalidResponse, match=r"tool_calls\.0"):
        answer(call).sign(NODE).to_bytes()


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [{"id": "1", "name": "f", "arguments": {}}],
        [{"id": "1", "name": "f"}],
        [{"id": "1", "name": "f", "arguments": "", "type": "function"}],
        [{"id": "1", "name": "f", "arguments": ""}] * (MAX_CALLS + 1),
    ],
)
def test_response__calls_of_another_form__are_refused(calls):
    fields = json.loads(answer(CALL).sign(NODE).to_bytes())
    with pytest.raises(InvalidResponse, match="tool_calls"):
        parse_response(encode({**fields, "tool_calls": calls}))
