"""The core's errors in the document's words: codes E001 to E005, and ours beside them."""

from collections.abc import Mapping
from dataclasses import dataclass

from dvllm_gateway.dialects.dvllm.schemas import ErrorBody, ErrorReply
from dvllm_gateway.dialects.dvllm.wire import iso_time
from dvllm_gateway.errors import GatewayError, Kind
from dvllm_gateway.http.operation import ErrorSpeller, SpelledError


@dataclass(frozen=True, slots=True)
class Spelling:
    status: int
    code: str
    message: str


SPELLINGS: Mapping[Kind, Spelling] = {
    Kind.INVALID_REQUEST: Spelling(400, "E005", "Invalid request"),
    Kind.PAYLOAD_TOO_LARGE: Spelling(413, "E005", "Request too large"),
    Kind.PROMPT_TOO_LONG: Spelling(400, "E005", "Prompt too long"),
    Kind.PROMPT_REFUSED: Spelling(400, "E005", "Invalid prompt"),
    Kind.UNSUPPORTED_MEDIA_TYPE: Spelling(415, "E005", "Unsupported content type"),
    Kind.METHOD_NOT_ALLOWED: Spelling(405, "E005", "Method not allowed"),
    Kind.UNAUTHENTICATED: Spelling(401, "E006", "Authentication required"),
    Kind.FORBIDDEN: Spelling(403, "E007", "Not allowed"),
    Kind.INSUFFICIENT_STAKE: Spelling(403, "E002", "Insufficient stake"),
    Kind.INSUFFICIENT_BALANCE: Spelling(402, "E010", "Insufficient balance"),
    Kind.MODEL_NOT_FOUND: Spelling(404, "E003", "Model not found"),
    Kind.NOT_FOUND: Spelling(404, "E008", "Not found"),
    Kind.CONFLICT: Spelling(409, "E012", "Conflict"),
    Kind.RATE_LIMITED: Spelling(429, "E009", "Rate limit exceeded"),
    Kind.NO_CAPACITY: Spelling(503, "E002", "Insufficient resources"),
    Kind.NETWORK_UNAVAILABLE: Spelling(502, "E001", "Network unreachable"),
    Kind.TIMEOUT: Spelling(504, "E004", "Task timeout"),
    Kind.TASK_FAILED: Spelling(502, "E011", "Task failed"),
    Kind.TRANSACTION_FAILED: Spelling(502, "E011", "Transaction failed"),
    Kind.INTERNAL: Spelling(500, "E500", "Internal error"),
}


class DvllmErrors(ErrorSpeller):
    """`message` is the code's own; what is special about this error stands in `details`."""

    model = ErrorReply

    def spell(self, error: GatewayError, request_id: str, now_ms: int) -> SpelledError:
        spelling = SPELLINGS[error.kind]
        body = ErrorBody(
            code=spelling.code,
            message=spelling.message,
            details=_details(error, request_id),
            timestamp=iso_time(now_ms),
        )
        return SpelledError(spelling.status, ErrorReply(error=body), _headers(error))


def _details(error: GatewayError, request_id: str) -> str:
    if error.kind is Kind.INTERNAL:
        return f"request {request_id}"
    said = error.message
    if error.field and not said.startswith(error.field):
        said = f"{error.field}: {said}"
    return f"{said}; {error.details}" if error.details else said


def _headers(error: GatewayError) -> dict[str, str]:
    """Beside those that every dialect gives."""
    if error.kind is Kind.UNAUTHENTICATED:
        return {"WWW-Authenticate": 'Bearer realm="dvllm", Signature realm="dvllm"'}
    return {}
