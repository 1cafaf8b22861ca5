"""The one way into a dialect and out of it: every request is noted, and every failure spelled."""

import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from dvllm_gateway.errors import GatewayError, RateLimited
from dvllm_gateway.http.client_address import counted_address
from dvllm_gateway.http.failures import of_defect, of_http
from dvllm_gateway.http.metrics import METRICS, Answered
from dvllm_gateway.http.operation import Dialect
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.http.rates import RateDesk
from dvllm_gateway.http.replies import limit_headers, response, stored_error
from dvllm_gateway.http.visit import REQUEST_ID, SERVER_NAME, VISIT, Visit, request_id_of
from dvllm_gateway.services.own_time import Stopwatch, measured
from dvllm_gateway.services.ports import StoredReply

log = logging.getLogger("dvllm_gateway.requests")

RawHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

DoorOf = Callable[[web.Request], "Door"]
# Set by each application: who words what aiohttp refuses by itself of a request to it.
DOOR_OF: web.AppKey[DoorOf] = web.AppKey("door_of")

STATUS_CLIENT_LEFT = 499  # of no reply at all; for the log only


class Door:
    def __init__(self, dialect: Dialect, rates: RateDesk, options: HttpOptions) -> None:
        self._dialect = dialect
        self._rates = rates
        self._options = options

    async def answer(self, request: web.Request, handler: RawHandler) -> web.StreamResponse:
        """Never raises a GatewayError or an HTTPException."""
        visit = request[VISIT] = self._visit(request)
        request[METRICS] = self._options.metrics
        began_s = time.perf_counter()
        status = STATUS_CLIENT_LEFT
        with measured() as stopwatch:
            try:
                reply = await self._attempt(request, visit, handler)
                status = reply.status
                return reply
            finally:
                self._note(visit, status, time.perf_counter() - began_s, stopwatch)

    def spell(self, error: GatewayError, request_id: str) -> StoredReply:
        spelled = self._dialect.errors.spell(error, request_id, self._options.now_ms())
        return stored_error(error, spelled)

    async def add_headers(self, request: web.Request, reply: web.StreamResponse) -> None:
        """A signal of aiohttp: before the first byte of any reply, streams and upgrades too."""
        visit = request.get(VISIT)
        if visit is None or visit.is_open or visit.dialect != self._dialect.name:
            return
        visit.is_open = True
        reply.headers[REQUEST_ID] = visit.request_id
        reply.headers["X-Content-Type-Options"] = "nosniff"
        reply.headers["Server"] = SERVER_NAME
        if visit.limit is not None:
            reply.headers.update(limit_headers(visit.limit))
            reply.headers.update(self._dialect.limit_headers(visit.limit))
        reply.headers.update(visit.headers)

    def _visit(self, request: web.Request) -> Visit:
        address = counted_address(
            request.remote,
            request.headers.get("X-Forwarded-For"),
            self._options.trusted_proxies,
        )
        return Visit(request_id_of(request), self._dialect.name, address)

    async def _attempt(
        self, request: web.Request, visit: Visit, handler: RawHandler
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except GatewayError as error:
            return await self._refuse(error, visit)
        except web.HTTPException as error:
            return await self._refuse(of_http(error), visit)
        except ConnectionError:
            raise  # nobody is there to be told
        except Exception as error:
            return await self._refuse(of_defect(error, visit.request_id), visit)

    async def _refuse(self, error: GatewayError, visit: Visit) -> web.StreamResponse:
        if visit.is_open:  # in the middle of a stream only its end can tell
            raise ConnectionAbortedError("a stream broke off") from error
        if visit.limit is None:
            error = await self._counted(error, visit)
        return response(self.spell(error, visit.request_id))

    async def _counted(self, error: GatewayError, visit: Visit) -> GatewayError:
        """What failed before it was known who calls counts for the address it came from."""
        try:
            await self._rates.count_other(visit)
        except RateLimited as refusal:
            return refusal
        except Exception:  # the caller still gets its first answer
            log.exception("a call was not counted")
        return error

    def _note(self, visit: Visit, status: int, total_s: float, stopwatch: Stopwatch) -> None:
        answered = Answered(
            dialect=visit.dialect,
            operation=visit.operation,
            status=status,
            total_s=total_s,
            own_s=max(0.0, total_s - stopwatch.waited_s),
            request_id=visit.request_id,
            address=visit.address,
        )
        self._options.metrics.count(answered)
        if self._options.logs_requests:
            log.info("request", extra=_log_fields(answered))


def _log_fields(answered: Answered) -> dict[str, object]:
    return {
        "request_id": answered.request_id,
        "dialect": answered.dialect,
        "operation": answered.operation,
        "status": answered.status,
        "ms": round(answered.total_s * 1000, 2),
        "own_ms": round(answered.own_s * 1000, 2),
    }
