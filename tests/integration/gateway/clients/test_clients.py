"""Clients as their users have them, pointed at a gateway by nothing but URL and key."""

import pytest

from tests.integration.gateway.clients.conftest import Served
from tests.support.clients.programs import told_by_node, told_by_python

SIX_WORDS = "Hello there Hello there Hello there"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_openai_for_node__models_chat_stream_and_errors(served: Served):
    told = await told_by_node("openai_calls.mjs", *served.arguments)
    assert told == {
        "models": [served.model],
        "text": SIX_WORDS,
        "streamed": SIX_WORDS,
        "completionTokens": 6,
        "rated": [["Hello", 0], [" there", 0]],
        "object": {"words": ["Hello", "there"]},
        "schema": "response_format",
        "tools": {"ran": [["Hello", "there"]], "answer": "Hello there 2 Hello there 2 Hello there"},
        "embeddings": [8, 8],
        "unknown_model": {"class": "NotFoundError", "status": 404, "code": "model_not_found"},
    }


@pytest.mark.long
async def test_openai_for_python__every_call_of_its_users(served: Served):
    told = await told_by_python("openai_calls.py", *served.arguments)
    assert told["models"] == [served.model]
    assert told["model"] == served.model
    chat = told["chat"]
    assert (chat["text"], chat["finish_reason"]) == (SIX_WORDS, "length")
    assert chat["usage"] == {"prompt_tokens": 2, "completion_tokens": 6}
    assert chat["id"].startswith("chatcmpl-")
    assert int(chat["job"]) > 0
    assert chat["response_cid"].startswith("baf")
    assert chat["receipt"].startswith("0x")
    assert int(chat["remaining"]) >= 0
    stream = told["stream"]
    assert (stream["text"], stream["finish_reason"]) == (SIX_WORDS, "length")
    assert stream["completion_tokens"] == 6
    assert told["completion"] == {"text": "OnceOnce Once Once Once", "object": "text_completion"}
    assert told["choices"] == [0, 1]
    assert told["unknown_model"]["class"] == "NotFoundError"
    assert told["unknown_model"]["code"] == "model_not_found"
    assert told["embeddings"] == {
        "indices": [0, 1],
        "lengths": [8, 8],
        "is_same": True,
        "norm": 1.0,
        "prompt_tokens": 4,
    }
    assert told["token_embeddings"]["class"] == "BadRequestError"
    assert told["bad_temperature"]["class"] == "BadRequestError"
    assert told["stranger"]["class"] == "AuthenticationError"


@pytest.mark.long
async def test_openai_for_python__what_only_some_engines_do(served: Served):
    """Of a node whose engine rates words, writes objects, and knows no schemas."""
    told = await told_by_python("openai_features.py", *served.arguments)
    words = [["Hello", 0, [72, 101, 108, 108, 111]], [" there", 0, list(b" there")]]
    words.append([" Hello", 0, list(b" Hello")])
    assert told["chat"] == [[[*word, [word[0]]] for word in words]] * 2
    assert told["stream"] == [[[*word, []] for word in words]]
    whole, from_its_tokens = told["accumulated"]
    assert whole == from_its_tokens != ""
    assert told["completion"] == told["completion_stream"]
    assert told["completion"] == {
        "tokens": ["Once", " more"],
        "token_logprobs": [0, 0],
        "top_logprobs": [{"Once": 0}, {" more": 0}],
        "text_offset": [0, 4],
    }
    assert told["object"] == {"words": ["Hello", "there"]}
    assert told["penalized"] == "length"
    refused = {name: told[name] for name in ("schema", "too_many")}
    assert refused == {"schema": "response_format", "too_many": "top_logprobs"}


@pytest.mark.long
async def test_openai_for_python__tools__called_answered_streamed_and_forced(served: Served):
    told = await told_by_python("openai_tools.py", *served.arguments)
    called = ["function", "count", {"words": ["Hello", "there"]}]
    assert told["conversation"] == {
        "finish_reason": "tool_calls",
        "content": None,
        "called": called,
        "answer": "Hello there 2 Hello there 2 Hello there",
        "answer_calls": None,
        "answer_finish_reason": "stop",
    }
    assert told["streamed"] == [True, "tool_calls", called]
    assert told["named"] == ["tool_calls", "other"]
    assert told["required"] == ["tool_calls", "count"]
    assert told["none"] is None
    refused = [told[name] for name in ("unknown", "functions", "bad_name")]
    assert refused == ["tool_choice", "functions", "tools.0.function.name"]


@pytest.mark.long
async def test_openai_for_python__tokens_and_echo__whole_and_streamed(served: Served):
    told = await told_by_python("openai_tokens.py", *served.arguments, "[504, 7]", "[1, 2, 3]")
    assert [each["text"] for each in told["plain"]] == ["504 7 504 7", "1 2 3 1"]
    assert (told["together"], told["prompt_tokens"]) == (["504 7 504 7", "1 2 3 1"], 5)
    assert [each["text"] for each in told["rated"]] == ["504 7504 7 504 7", "1 2 31 2 3 1"]
    assert told["rated"][0]["logprobs"] == {
        "tokens": ["504", " 7", "504", " 7", " 504", " 7"],
        "token_logprobs": [None, 0, 0, 0, 0, 0],
        "top_logprobs": [None, {" 7": 0}, {"504": 0}, {" 7": 0}, {" 504": 0}, {" 7": 0}],
        "text_offset": [0, 3, 5, 8, 10, 14],
    }
    assert told["streamed"] == told["rated"]
    assert [each["text"] for each in told["echo_alone"]] == ["504 7", "1 2 3"]
    assert told["too_long"] == ["BadRequestError", "context_length_exceeded"]
    assert told["unknown"] is None  # to an engine without a vocabulary


@pytest.mark.long
async def test_langchain__tools__bound_called_answered_and_streamed(served: Served):
    told = await told_by_python("langchain_tools.py", *served.arguments)
    called = [["count", {"words": ["Hello", "there"]}]]
    assert (told["called"], told["streamed"]) == (called, called)
    assert told["results"] == ["2"]
    assert told["answer"].startswith("Hello there 2")
    assert told["forced"] == ["count"]


@pytest.mark.long
async def test_litellm__whole_streamed_and_refused(served: Served):
    told = await told_by_python("litellm_calls.py", *served.arguments)
    called = ["tool_calls", [["count", {"words": ["Hello", "there"]}]]]
    assert told == {
        "text": SIX_WORDS,
        "completion_tokens": 6,
        "streamed": SIX_WORDS,
        "called": called,
        "called_streamed": called,
        "dimensions": [8],
        "unknown_model": "NotFoundError",
    }


@pytest.mark.long
async def test_langchain__invoke_and_stream(served: Served):
    told = await told_by_python("langchain_calls.py", *served.arguments)
    assert told == {
        "text": SIX_WORDS,
        "output_tokens": 6,
        "streamed": SIX_WORDS,
        "dimensions": [8, 8],
    }
