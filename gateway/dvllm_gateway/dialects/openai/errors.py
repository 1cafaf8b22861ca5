"""The core's errors in OpenAI's words: their clients choose exception and retry by them."""

from collections.abc import Mapping
from dataclasses import dataclass

from dvllm_gateway.dialects.openai.replies import ErrorBody, ErrorReply
from dvllm_gateway.errors import GatewayError, Kind
from dvllm_gateway.http.operation import ErrorSpeller, SpelledError


@dataclass(frozen=True, slots=True)
class Spelling:
    status: int
    type: str
    code: str | None = None


SPELLINGS: Mapping[Kind, Spelling] = {
    Kind.INVALID_REQUEST: Spelling(400, "invalid_request_error"),
    Kind.PAYLOAD_TOO_LARGE: Spelling(413, "invalid_request_error"),
    Kind.PROMPT_TOO_LONG: Spelling(400, "invalid_request_error", "context_length_exceeded"),
    Kind.PROMPT_REFUSED: Spelling(400, "invalid_request_error"),
    Kind.UNSUPPORTED_MEDIA_TYPE: Spelling(415, "invalid_request_error"),
    Kind.METHOD_NOT_ALLOWED: Spelling(405, "invalid_request_error"),
    Kind.UNAUTHENTICATED: Spelling(401, "authentication_error", "invalid_api_key"),
    Kind.FORBIDDEN: Spelling(403, "permission_error"),
    Kind.INSUFFICIENT_STAKE: Spelling(403, "permission_error"),
    # Real OpenAI says 429 here, which clients try again; 402 they leave alone.
    Kind.INSUFFICIENT_BALANCE: Spelling(402, "insufficient_quota", "insufficient_quota"),
    Kind.MODEL_NOT_FOUND: Spelling(404, "invalid_request_error", "model_not_found"),
    Kind.NOT_FOUND: Spelling(404, "not_found_error"),
    Kind.CONFLICT: Spelling(409, "invalid_request_error", "conflict"),
    Kind.RATE_LIMITED: Spelling(429, "rate_limit_error", "rate_limit_exceeded"),
    Kind.NO_CAPACITY: Spelling(503, "server_error"),
    Kind.NETWORK_UNAVAILABLE: Spelling(502, "server_error"),
    Kind.TIMEOUT: Spelling(504, "timeout"),
    Kind.TASK_FAILED: Spelling(502, "server_error", "task_failed"),
    Kind.TRANSACTION_FAILED: Spelling(502, "server_error"),
    Kind.INTERNAL: Spelling(500, "server_error"),
}


class OpenAiErrors(ErrorSpeller):
    model = ErrorReply

    def spell(self, error: GatewayError, request_id: str, now_ms: int) -> SpelledError:
        spelling = SPELLINGS[error.kind]
        body = ErrorBody(
            message=_message(error, request_id),
            type=spelling.type,
            param=error.field,
            code=spelling.code,
        )
        return SpelledError(spelling.status, ErrorReply(error=body), _headers(error))


def _message(error: GatewayError, request_id: str) -> str:
    if error.kind is Kind.INTERNAL:
        return f"internal error, request {request_id}"
    return f"{error.message}; {error.details}" if error.details else error.message


def _headers(error: GatewayError) -> dict[str, str]:
    """Beside those that every dialect gives."""
    return {"WWW-Authenticate": "Bearer"} if error.kind is Kind.UNAUTHENTICATED else {}
