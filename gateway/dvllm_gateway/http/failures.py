"""Whatever ends a request badly, as an error that a dialect can spell."""

import logging

from aiohttp import web

from dvllm_gateway.errors import (
    GatewayError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    UnsupportedMediaType,
)

log = logging.getLogger(__name__)


def of_http(error: web.HTTPException) -> GatewayError:
    """aiohttp's own refusals: of its router, and of an upgrade that is none."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = frozenset(error.allowed_methods)
        return MethodNotAllowed(f"{error.method} is not served here", allowed=allowed)
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return PayloadTooLarge("the body is too large")
    if isinstance(error, web.HTTPNotFound):
        return NotFound("there is nothing at this path")
    if isinstance(error, web.HTTPUnsupportedMediaType):
        return UnsupportedMediaType("this content type is not served here")
    if isinstance(error, web.HTTPExpectationFailed):
        return InvalidRequest("Expect: nothing but 100-continue is served", field="Expect")
    if isinstance(error, web.HTTPClientError):
        return InvalidRequest("this is not a request that can be answered here")
    return InternalError(f"{error.status} {error.reason}")


def of_defect(error: Exception, request_id: str) -> GatewayError:
    """What nobody foresaw. The log has its trace, the caller the request's id."""
    log.error("request failed", exc_info=error, extra={"request_id": request_id})
    return InternalError("internal error")
