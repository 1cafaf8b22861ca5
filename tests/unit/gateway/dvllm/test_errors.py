"""Every kind of error in the document's words."""

import pytest

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway import errors
from dvllm_gateway.dialects.dvllm.errors import SPELLINGS, DvllmErrors
from dvllm_gateway.errors import Kind
from tests.support.gateway_in_memory.facts import NOON_MS

TABLE = {
    Kind.INVALID_REQUEST: (400, "E005"),
    Kind.PAYLOAD_TOO_LARGE: (413, "E005"),
    Kind.PROMPT_TOO_LONG: (400, "E005"),
    Kind.PROMPT_REFUSED: (400, "E005"),
    Kind.UNSUPPORTED_MEDIA_TYPE: (415, "E005"),
    Kind.METHOD_NOT_ALLOWED: (405, "E005"),
    Kind.UNAUTHENTICATED: (401, "E006"),
    Kind.FORBIDDEN: (403, "E007"),
    Kind.INSUFFICIENT_STAKE: (403, "E002"),
    Kind.INSUFFICIENT_BALANCE: (402, "E010"),
    Kind.MODEL_NOT_FOUND: (404, "E003"),
    Kind.NOT_FOUND: (404, "E008"),
    Kind.CONFLICT: (409, "E012"),
    Kind.RATE_LIMITED: (429, "E009"),
    Kind.NO_CAPACITY: (503, "E002"),
    Kind.NETWORK_UNAVAILABLE: (502, "E001"),
    Kind.TIMEOUT: (504, "E004"),
    Kind.TASK_FAILED: (502, "E011"),
    Kind.TRANSACTION_FAILED: (502, "E011"),
    Kind.INTERNAL: (500, "E500"),
}


@pytest.mark.parametrize("kind", Kind)
def test_spelling__each_kind__as_the_table_says(kind: Kind) -> None:
    assert (SPELLINGS[kind].status, SPELLINGS[kind].code) == TABLE[kind]


def spelled(error: errors.GatewayError) -> dict[str, str]:
    body = DvllmErrors().spell(error, "req-1", NOON_MS).body.model_dump(mode="json")
    return dict(body["error"])


def test_spelling__model_not_found__as_the_document_shows_it() -> None:
    assert spelled(errors.ModelNotFound("Model 'invalid-model' is not registered")) == {
        "code": "E003",
        "message": "Model not found",
        "details": "Model 'invalid-model' is not registered",
        "timestamp": "2024-01-01T12:00:00.000Z",
    }


def test_spelling__prompt_too_long__says_so_and_not_that_it_is_malformed() -> None:
    body = spelled(errors.PromptTooLong("longer than the model's context length"))
    assert (body["message"], body["details"]) == (
        "Prompt too long",
        "longer than the model's context length",
    )


def test_spelling__prompt_refused__in_the_documents_words() -> None:
    body = spelled(errors.PromptRefused("the model has no such token"))
    assert (body["message"], body["details"]) == ("Invalid prompt", "the model has no such token")


def test_spelling__details__name_the_field_once() -> None:
    assert spelled(errors.InvalidRequest("too long", field="prompt"))["details"] == (
        "prompt: too long"
    )
    named = errors.InvalidRequest("prompt: too long", field="prompt", details="a hint")
    assert spelled(named)["details"] == "prompt: too long; a hint"


def test_spelling__internal__shows_the_request_and_nothing_else() -> None:
    body = spelled(errors.InternalError("Traceback: the secret"))
    assert body["details"] == "request req-1"
    assert "secret" not in str(body)


def test_spelling__balance__says_what_is_needed() -> None:
    error = errors.InsufficientBalance(
        "1 token is needed", required_wei=Wei(2), available_wei=Wei(1), balance_wei=Wei(1)
    )
    assert spelled(error)["details"] == "1 token is needed"
