import pytest

from dvllm_gateway.dialects.openai.errors import SPELLINGS, OpenAiErrors
from dvllm_gateway.errors import (
    InternalError,
    InvalidRequest,
    Kind,
    ModelNotFound,
    PromptRefused,
    PromptTooLong,
)


def spell(error):
    return OpenAiErrors().spell(error, "req-1", 0)


@pytest.mark.parametrize("kind", Kind)
def test_spellings__every_kind__has_one(kind):
    assert 400 <= SPELLINGS[kind].status < 600


def test_spell__internal__tells_the_request_and_not_the_text():
    spelled = spell(InternalError("secret path"))
    assert spelled.status == 500
    assert spelled.body.error.message == "internal error, request req-1"


def test_spell__model_not_found__as_clients_know_it():
    spelled = spell(ModelNotFound("there is no model 'x'"))
    assert (spelled.status, spelled.body.error.code) == (404, "model_not_found")


def test_spell__prompt_too_long__as_clients_know_it():
    spelled = spell(PromptTooLong("the prompt is longer than the model's context length"))
    error = spelled.body.error
    assert (spelled.status, error.type, error.code) == (
        400,
        "invalid_request_error",
        "context_length_exceeded",
    )


def test_spell__prompt_refused__is_the_callers_fault():
    spelled = spell(PromptRefused("the model has no such token", details="nothing was charged"))
    error = spelled.body.error
    assert (spelled.status, error.type, error.code) == (400, "invalid_request_error", None)
    assert error.message == "the model has no such token; nothing was charged"


def test_spell__field__is_the_param():
    assert spell(InvalidRequest("n: too many", field="n")).body.error.param == "n"
