"""What handlers and errors say, as bytes and headers."""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel

from dvllm_gateway.errors import GatewayError, Kind, MethodNotAllowed
from dvllm_gateway.http.operation import Reply, SpelledError
from dvllm_gateway.services.ports import LimitState, StoredReply

SHOULD_RETRY = "x-should-retry"
REPLAYED = "Idempotent-Replayed"
DEFAULT_RETRY_S = 1

Shown = TypeVar("Shown")

_JSON = "application/json"
_WITH_RETRY_AFTER = frozenset({429, 503})


def json_bytes(body: BaseModel) -> bytes:
    return body.model_dump_json(by_alias=True).encode()


def json_response(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=_JSON)


class LastRendered(Generic[Shown]):
    """Renders once what is shown many times: a value that can not change, until there is another.

    As bytes, since a reply's headers are its own.
    """

    def __init__(self, render: Callable[[Shown], BaseModel]) -> None:
        self._render = render
        self._last: tuple[Shown, bytes] | None = None

    def reply(self, shown: Shown) -> web.Response:
        last = self._last
        if last is None or (last[0] is not shown and last[0] != shown):
            last = self._last = shown, json_bytes(self._render(shown))
        return json_response(last[1])


def stored_reply(reply: Reply) -> StoredReply:
    body = b"" if reply.body is None else json_bytes(reply.body)
    return StoredReply(reply.status, body, dict(reply.headers))


def stored_error(error: GatewayError, spelled: SpelledError) -> StoredReply:
    """With the headers that every dialect gives with such an error."""
    headers = {**_error_headers(error, spelled.status), **spelled.headers}
    return StoredReply(spelled.status, json_bytes(spelled.body), headers)


def response(stored: StoredReply, *, further: Mapping[str, str] | None = None) -> web.Response:
    headers = {**stored.headers, **(further or {})}
    if not stored.body:
        return web.Response(status=stored.status, headers=headers)
    return web.Response(status=stored.status, body=stored.body, content_type=_JSON, headers=headers)


def limit_headers(limit: LimitState) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit.limit),
        "X-RateLimit-Remaining": str(limit.remaining),
        "X-RateLimit-Reset": str(limit.reset_s),
    }


def _error_headers(error: GatewayError, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    if status in _WITH_RETRY_AFTER:
        wait_s = DEFAULT_RETRY_S if error.retry_after_s is None else error.retry_after_s
        headers["Retry-After"] = str(wait_s)
    if error.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed))
    if error.kind is Kind.CONFLICT and error.retry_after_s is not None:  # it passes by itself
        headers["Retry-After"] = str(error.retry_after_s)
    if error.task_created or error.kind is Kind.CONFLICT:
        headers[SHOULD_RETRY] = "false"
    return headers
