"""Documents that are made of nothing but faults: told by the first of them, briefly, at its cost.

A validator that keeps all of them takes gigabytes and half a minute for one answer of a stranger.
"""

import json

import pytest
from pydantic import ValidationError

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.documents import MAX_FIELDS
from decentralized_vllm.protocol.errors import InvalidDocument, InvalidPrompt, InvalidResponse
from decentralized_vllm.protocol.prompts import parse_prompt
from decentralized_vllm.protocol.responses import parse_response
from tests.support import vectors

RESPONSE = vectors.load("documents")["responses"][0]["canonical"].encode()
CHAT = {"version": 1, "type": "chat", "messages": [{"role": "user", "content": "x"}]}
TOKENS = {"version": 1, "type": "tokens", "token_ids": [1]}
N_FAULTS = 20_000
FEW = 3 * MAX_FIELDS
UNKNOWN = {str(number): 1 for number in range(N_FAULTS)}


def broken_responses():
    yield {"token_ids": [-1] * N_FAULTS}
    yield {"logprobs": [{}] * 4096}
    yield {"logprobs": [{"text": "", "logprob": 0, "top": [{}] * 5}] * 4096}
    yield {"prompt_logprobs": [{}] * 4096}
    yield {"tool_calls": [{}] * 64}
    yield {"parts": dict.fromkeys(UNKNOWN, 1)}
    yield {"timing": UNKNOWN}
    yield UNKNOWN


def broken_prompts():
    yield {**CHAT, "messages": [{}] * 1024}
    yield {**CHAT, "messages": [{"role": "user", "content": "", "tool_calls": [{}] * 64}] * 512}
    yield {**CHAT, "tools": [{str(number): 1 for number in range(500)}] * 128}
    yield {**CHAT, "parameters": UNKNOWN}
    yield {**TOKENS, "token_ids": [-1] * N_FAULTS}


def assert_told_briefly(refusal):
    assert len(refusal.message) < 300
    faults = refusal.__context__
    assert not isinstance(faults, ValidationError) or faults.error_count() <= FEW


@pytest.mark.parametrize("fields", list(broken_responses()), ids=lambda fields: next(iter(fields)))
def test_parse_response__many_faults__are_not_all_kept(fields):
    with pytest.raises(InvalidResponse) as refusal:
        parse_response(json.dumps({**json.loads(RESPONSE), **fields}).encode())
    assert_told_briefly(refusal.value)


@pytest.mark.parametrize("fields", list(broken_prompts()))
def test_parse_prompt__many_faults__are_not_all_kept(fields):
    with pytest.raises(InvalidPrompt) as refusal:
        parse_prompt(json.dumps(fields).encode())
    assert_told_briefly(refusal.value)


@pytest.mark.parametrize("name", ["k" * 500_000, "a\nbroken line", "\u2028", "\u202e"])
def test_parse_prompt__unknown_field__is_named_in_one_short_line(name):
    with pytest.raises(InvalidPrompt, match="Extra inputs") as refusal:
        parse_prompt(json.dumps({**CHAT, name: 1}).encode())
    assert_told_briefly(refusal.value)
    assert refusal.value.message.isprintable()


@pytest.mark.parametrize("number", [10**400, -(10**5000)], ids=["long", "longer"])
def test_encode__number_of_many_digits__is_refused_without_them(number):
    with pytest.raises(InvalidDocument) as refusal:
        canonical_json.encode({"a": [number]})
    assert_told_briefly(refusal.value)
