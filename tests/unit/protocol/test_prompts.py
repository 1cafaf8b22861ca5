"""Prompt documents: exact bytes out, and nothing half-understood in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.documents import MAX_PROMPT_BYTES
from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.generation import (
    Feature,
    Message,
    ResponseFormat,
    SamplingParameters,
)
from decentralized_vllm.protocol.json_schemas import schema_format
from decentralized_vllm.protocol.prompts import (
    PromptDocument,
    chat_prompt,
    parse_prompt,
)
from decentralized_vllm.protocol.token_bounds import prompt_token_bound
from tests.support import vectors

DOCUMENTS = vectors.load("documents")

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)
PARAMETERS = st.builds(
    SamplingParameters,
    max_tokens=st.integers(1, 2**24 - 1),
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1, exclude_min=True),
    top_k=st.integers(0, 1_000_000),
    stop=st.lists(TEXTS, max_size=16).map(tuple),
    seed=st.none() | st.integers(0, 2**53 - 1),
    presence_penalty=st.floats(-2, 2),
    frequency_penalty=st.floats(-2, 2),
    response_format=st.none()
    | st.just(ResponseFormat())
    | TEXTS.map(lambda name: schema_format({"type": "object", "required": [name]})),
) | st.builds(SamplingParameters, max_tokens=st.integers(1, 4096), logprobs=st.integers(0, 5))
MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS),
    min_size=1,
    max_size=5,
).map(tuple)
PROMPTS = st.builds(PromptDocument, messages=MESSAGES, parameters=PARAMETERS) | st.builds(
    PromptDocument, prompt=TEXTS, parameters=PARAMETERS
)


def document_of(case):
    messages = case["messages"] and tuple(Message(**message) for message in case["messages"])
    parameters = {**case["parameters"], "stop": tuple(case["parameters"]["stop"])}
    return PromptDocument(messages, case["prompt"], SamplingParameters(**parameters))


@pytest.mark.parametrize("case", DOCUMENTS["prompts"], ids=lambda case: case["name"])
def test_prompt__vector__has_exactly_these_bytes_and_this_meaning(case):
    document = document_of(case)
    if case["canonical"] is None:
        assert parse_prompt(case["text"].encode()) == document
    else:
        assert document.to_bytes() == case["canonical"].encode()
        assert parse_prompt(case["canonical"].encode()) == document


@pytest.mark.parametrize("case", DOCUMENTS["refused_prompts"], ids=lambda case: case["name"])
def test_parse_prompt__refused_vector__is_refused(case):
    with pytest.raises(InvalidPrompt):
        parse_prompt(case["text"].encode())


@given(PROMPTS)
def test_prompt__any_document__reads_back_equal(document):
    assert parse_prompt(document.to_bytes()) == document


@given(TEXTS.filter(lambda text: text.strip() and not text.lstrip("\ufeff \t\r\n").startswith("{")))
def test_parse_prompt__text_without_a_brace__is_one_user_message_word_for_word(text):
    assert parse_prompt(text.encode()) == chat_prompt(text, SamplingParameters())


@given(PROMPTS, st.sampled_from(["", " ", "\r\n\t"]))
def test_parse_prompt__document_behind_a_byte_order_mark__is_that_document(document, space):
    marked = "\ufeff" + space + document.to_bytes().decode()
    assert parse_prompt(marked.encode()) == document


@given(st.binary(max_size=100) | st.binary(max_size=100).map(lambda data: b'{"version":1' + data))
def test_parse_prompt__any_bytes__give_a_document_or_invalid_prompt(data):
    try:
        document = parse_prompt(data)
    except InvalidPrompt:
        return
    assert parse_prompt(document.to_bytes()) == document


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"x" * (MAX_PROMPT_BYTES + 1),
        b'{"messages":' + b"[" * 100_000,
        b'  {"version":1}',
    ],
    ids=["not UTF-8", "too large", "too deep", "braces after white space"],
)
def test_parse_prompt__hostile_bytes__are_refused(data):
    with pytest.raises(InvalidPrompt):
        parse_prompt(data)


def test_parse_prompt__broken_field__is_named_without_its_value():
    secret = b'{"version":1,"type":"completion","prompt":"x","parameters":{"seed":"hush"}}'
    with pytest.raises(InvalidPrompt, match=r"^parameters\.seed: ") as caught:
        parse_prompt(secret)
    assert "hush" not in str(caught.value)


def test_to_bytes__later_parameters__come_beside_those_of_every_document():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    parameters = SamplingParameters(
        presence_penalty=0.5,
        frequency_penalty=-1.0,
        logprobs=0,
        response_format=schema_format(schema),
    )
    assert PromptDocument(prompt="x", parameters=parameters).to_bytes() == (
        b'{"parameters":{"frequency_penalty":-1,"logprobs":0,"max_tokens":100,'
        b'"presence_penalty":0.5,"response_format":{"schema":{"properties":'
        b'{"a":{"type":"integer"}},"type":"object"},"type":"json_schema"},"seed":null,"stop":[],'
        b'"temperature":1,"top_k":0,"top_p":1},"prompt":"x","type":"completion","version":1}'
    )


@pytest.mark.parametrize(
    ("parameters", "features"),
    [
        (SamplingParameters(), set()),
        (SamplingParameters(logprobs=0), {Feature.LOGPROBS}),
        (SamplingParameters(presence_penalty=-1.0), {Feature.PENALTIES}),
        (SamplingParameters(frequency_penalty=1.0), {Feature.PENALTIES}),
        (SamplingParameters(response_format=ResponseFormat()), {Feature.JSON_OBJECT}),
        (SamplingParameters(response_format=schema_format({})), {Feature.JSON_SCHEMA}),
    ],
)
def test_features__of_parameters__are_what_an_engine_must_do(parameters, features):
    assert parameters.features == features


@pytest.mark.parametrize(
    "parameters",
    [
        '{"presence_penalty":2.1}',
        '{"frequency_penalty":-2.1}',
        '{"frequency_penalty":"1"}',
        '{"logprobs":6}',
        '{"logprobs":-1}',
        '{"logprobs":true}',
        '{"logprobs":1,"max_tokens":4097}',
        '{"response_format":{"type":"text"}}',
        '{"response_format":{"type":"json_object","schema":{}}}',
        '{"response_format":{"type":"json_schema"}}',
        '{"response_format":{"type":"json_schema","schema":[]}}',
        '{"response_format":{"type":"json_schema","schema":{"pattern":"(a+)+"}}}',
    ],
)
def test_parse_prompt__later_parameters_out_of_bounds__are_refused(parameters):
    text = '{"version":1,"type":"completion","prompt":"x","parameters":' + parameters + "}"
    with pytest.raises(InvalidPrompt):
        parse_prompt(text.encode())


@pytest.mark.parametrize(
    "document",
    [
        PromptDocument(),
        PromptDocument(prompt=""),
        PromptDocument(prompt="\ud800"),
        PromptDocument(prompt="x", parameters=SamplingParameters(max_tokens=0)),
        PromptDocument(prompt="x" * MAX_PROMPT_BYTES),
        PromptDocument(messages=()),
    ],
    ids=["nothing", "empty", "surrogate", "no tokens", "too large", "no messages"],
)
def test_to_bytes__document_nobody_would_read__is_refused(document):
    with pytest.raises(InvalidPrompt):
        document.to_bytes()


def test_to_request__document__carries_all_of_it():
    document = chat_prompt("Hi", SamplingParameters(max_tokens=5))
    request = document.to_request("31337:0x00:7")
    assert (request.request_id, request.messages, request.prompt, request.parameters) == (
        "31337:0x00:7",
        (Message("user", "Hi"),),
        None,
        SamplingParameters(max_tokens=5),
    )


@given(PROMPTS)
def test_prompt_token_bound__any_document__is_no_less_than_its_bytes(document):
    texts = [message.content for message in document.messages or ()] or [document.prompt]
    assert prompt_token_bound(document) > sum(len(text.encode()) for text in texts)
