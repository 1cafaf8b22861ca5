"""What is sent to vLLM is allow-listed, what comes back is checked."""

import json
from typing import Any

import pytest

from decentralized_vllm.protocol.errors import EngineRefused, EngineUnavailable
from decentralized_vllm.protocol.generation import (
    Candidate,
    FinishReason,
    GenerationRequest,
    Message,
    PromptTokenLogprob,
    ResponseFormat,
    SamplingParameters,
    TokenLogprob,
)
from decentralized_vllm.protocol.json_schemas import schema_format
from dvllm_worker.engines.vllm_messages import (
    AnswerReader,
    WrongModel,
    completion_body,
    completion_path,
)

SENT_FIELDS = {
    "model", "max_tokens", "temperature", "top_p", "top_k", "stop", "min_p", "repetition_penalty",
    "presence_penalty", "frequency_penalty", "stream", "stream_options", "return_token_ids",
}  # fmt: skip


def chat_request(**parameters: Any) -> GenerationRequest:
    return GenerationRequest(
        "r", SamplingParameters(**parameters), messages=(Message("user", "hello"),)
    )


def event(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "choices": [], **fields}).encode()


def token_event(text: str, token_ids: list[int], finish: str | None = None) -> bytes:
    choice = {"delta": {"content": text}, "token_ids": token_ids, "finish_reason": finish}
    return event(choices=[choice])


def first_event(n_prompt_tokens: int) -> bytes:
    return event(choices=[{"delta": {}}], prompt_token_ids=list(range(n_prompt_tokens)))


def usage_event(n_prompt_tokens: int, n_output_tokens: int) -> bytes:
    counts = {"prompt_tokens": n_prompt_tokens, "completion_tokens": n_output_tokens}
    return event(usage=counts)


def test_body__chat_without_seed__exactly_the_known_fields() -> None:
    body = completion_body(chat_request(), "m", 7)
    assert set(body) == SENT_FIELDS | {"messages"}
    assert body["max_tokens"] == 7
    assert completion_path(chat_request()) == "/v1/chat/completions"


def test_body__raw_prompt_with_seed__exactly_the_known_fields() -> None:
    request = GenerationRequest("r", SamplingParameters(seed=0), prompt="hi")
    assert set(completion_body(request, "m", 7)) == SENT_FIELDS | {"prompt", "seed"}
    assert completion_path(request) == "/v1/completions"


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        (ResponseFormat(), {"type": "json_object"}),
        (
            schema_format({"type": "string"}),
            {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "string"}},
            },
        ),
    ],
)
def test_body__format__as_the_server_reads_it(form: ResponseFormat, sent: Any) -> None:
    assert completion_body(chat_request(response_format=form), "m", 7)["response_format"] == sent


def test_body__logprobs__one_way_for_each_path() -> None:
    body = completion_body(chat_request(logprobs=0), "m", 7)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 0)
    raw = GenerationRequest("r", SamplingParameters(logprobs=0), prompt="hi")
    body = completion_body(raw, "m", 7)
    assert body["logprobs"] == 0
    assert "top_logprobs" not in body


def test_body__penalties__go_on_as_they_are() -> None:
    body = completion_body(chat_request(presence_penalty=0.5, frequency_penalty=-2.0), "m", 7)
    assert (body["presence_penalty"], body["frequency_penalty"]) == (0.5, -2.0)


CHAT_LOGPROBS = {
    "content": [
        {
            "token": "a",
            "logprob": -1.0,
            "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -0.5}, {"token": "a", "logprob": -1.0}],
        }
    ]
}
# The chosen token comes first and beside the two that were asked for.
RAW_LOGPROBS = {
    "text_offset": [0],
    "tokens": ["c"],
    "token_logprobs": [-9.0],
    "top_logprobs": [{"c": -9.0, "b": -0.5, "a": -1.0}],
}


@pytest.mark.parametrize(
    ("told", "text", "logprob"), [(CHAT_LOGPROBS, "a", -1.0), (RAW_LOGPROBS, "c", -9.0)]
)
def test_reader__logprobs__the_likeliest_as_many_as_asked(
    told: Any, text: str, logprob: float
) -> None:
    choice = {"text": text, "delta": {"content": text}, "token_ids": [5], "logprobs": told}
    chunk = AnswerReader("m", 2).read(event(choices=[choice]))
    assert chunk is not None
    top = (Candidate("b", -0.5), Candidate("a", -1.0))
    assert chunk.logprobs == (TokenLogprob(text, logprob, top),)


@pytest.mark.parametrize(
    "told",
    [
        {**RAW_LOGPROBS, "token_logprobs": [None]},
        {**RAW_LOGPROBS, "token_logprobs": []},
        {**RAW_LOGPROBS, "token_logprobs": [float("nan")]},
    ],
)
def test_reader__broken_logprobs__unavailable(told: Any) -> None:
    choice = {"text": "a", "token_ids": [5], "logprobs": told}
    with pytest.raises(EngineUnavailable):
        AnswerReader("m", 2).read(event(choices=[choice]))


def test_reader__answer__finish_only_after_the_server_counted() -> None:
    reader = AnswerReader("m")
    assert reader.read(first_event(3)) is None
    chunk = reader.read(token_event("a", [5]))
    assert chunk is not None
    assert (chunk.text, chunk.token_ids, chunk.n_prompt_tokens) == ("a", (5,), 3)
    assert chunk.finish_reason is None
    assert reader.read(token_event("b", [6, 7], "stop")) is None
    last = reader.read(usage_event(3, 3))
    assert last is not None
    assert (last.text, last.finish_reason) == ("b", FinishReason.STOP)


def test_reader__raw_completion__read_alike() -> None:
    reader = AnswerReader("m")
    choice = {"text": "a", "token_ids": [5], "prompt_token_ids": [1, 2], "finish_reason": None}
    chunk = reader.read(event(choices=[choice]))
    assert chunk is not None
    assert (chunk.text, chunk.token_ids, chunk.n_prompt_tokens) == ("a", (5,), 2)


def test_reader__another_model__wrong_model() -> None:
    with pytest.raises(WrongModel, match="'other'"):
        AnswerReader("m").read(event(model="other"))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"{not json", "not an event"),
        (b'{"error": {"message": "EngineCore died"}}', "EngineCore"),
        (token_event("a", [1], "abort"), "abort"),
        (event(choices=[{"delta": {"content": "text"}}]), "no token ids"),
        (usage_event(0, 0), "no end"),
    ],
)
def test_reader__faulty_event__unavailable(data: bytes, complaint: str) -> None:
    with pytest.raises(EngineUnavailable, match=complaint):
        AnswerReader("m").read(data)


def test_reader__counts_differ__unavailable() -> None:
    reader = AnswerReader("m")
    reader.read(first_event(3))
    reader.read(token_event("a", [5], "length"))
    with pytest.raises(EngineUnavailable, match="counts 3 \\+ 2 tokens, but sent 3 \\+ 1"):
        reader.read(usage_event(3, 2))


def test_body__tokens__are_the_prompt() -> None:
    request = GenerationRequest("r", SamplingParameters(), token_ids=(5, 6))
    body = completion_body(request, "m", 7)
    assert (set(body), body["prompt"]) == (SENT_FIELDS | {"prompt"}, [5, 6])
    assert completion_path(request) == "/v1/completions"


def test_body__prompt_logprobs__are_those_of_an_echo() -> None:
    parameters = SamplingParameters(logprobs=2, prompt_logprobs=True)
    body = completion_body(GenerationRequest("r", parameters, prompt="hi"), "m", 7)
    assert set(body) == SENT_FIELDS | {"prompt", "logprobs", "echo"}
    assert (body["logprobs"], body["echo"]) == (2, True)


# The prompt's two tokens, and the first of the answer: the text is the answer's alone.
ECHOED: dict[str, Any] = {
    "text": "c",
    "token_ids": [7],
    "prompt_token_ids": [5, 6],
    "logprobs": {
        "tokens": ["a", "b", "c"],
        "token_logprobs": [None, -2.0, -1.0],
        "top_logprobs": [None, {"x": -0.5, "b": -2.0}, {"c": -1.0}],
    },
}


def test_reader__echo__rates_the_prompt_apart_from_the_answer() -> None:
    reader = AnswerReader("m", 1, is_prompt_rated=True)
    chunk = reader.read(event(choices=[ECHOED]))
    assert chunk is not None
    assert (chunk.text, chunk.token_ids, chunk.n_prompt_tokens) == ("c", (7,), 2)
    assert chunk.prompt_logprobs == (
        PromptTokenLogprob("a", None),
        PromptTokenLogprob("b", -2.0, (Candidate("x", -0.5),)),
    )
    assert chunk.logprobs == (TokenLogprob("c", -1.0, (Candidate("c", -1.0),)),)


def test_reader__echo_that_rates_not_each_token__unavailable() -> None:
    logprobs = {**ECHOED["logprobs"], "token_logprobs": [None, None, -1.0]}
    with pytest.raises(EngineUnavailable, match="no log-probability"):
        AnswerReader("m", 1, is_prompt_rated=True).read(
            event(choices=[{**ECHOED, "logprobs": logprobs}])
        )


def test_reader__refusal_in_the_stream__is_one_until_there_is_an_answer() -> None:
    refusal = event(error={"message": "Token id 9 is out of vocabulary", "code": 400})
    with pytest.raises(EngineRefused, match="out of vocabulary"):
        AnswerReader("m").read(refusal)
    reader = AnswerReader("m")
    reader.read(token_event("a", [5]))
    with pytest.raises(EngineUnavailable):
        reader.read(refusal)
    for code in (500, None, [400]):
        with pytest.raises(EngineUnavailable):
            AnswerReader("m").read(event(error={"message": "died", "code": code}))
