"""`/resources`: what of the machine the node uses, read by anyone; the operator allots it."""

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import asdict
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.request_auth import read_headers
from dvllm_worker.http.callers import Callers
from dvllm_worker.http.errors import refusal
from dvllm_worker.http.nonces import TooManyRequests
from dvllm_worker.resources.allotment import Allotment
from dvllm_worker.resources.meter import Meter
from dvllm_worker.resources.shares import AboveLimits, Shares

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 4096
BODY_TIMEOUT_S = 10.0
MEASURED_FOR_S = 1.0

Percent = Annotated[float, Field(ge=0, le=100)]


class Wish(BaseModel):
    """Percent of the machine; what is left out stays."""

    model_config = ConfigDict(strict=True, extra="forbid")

    cpu: Percent | None = None
    memory: Percent | None = None
    gpu: Percent | None = None
    storage: Percent | None = None


class ResourceDoor:
    """`managers` may change the allotment: the node itself, and who its operator names."""

    def __init__(
        self, allotment: Allotment, meter: Meter, callers: Callers, managers: Collection[Address]
    ) -> None:
        self._allotment = allotment
        self._meter = meter
        self._callers = callers
        self._managers = frozenset(address.lower() for address in managers)
        self._started_s = time.time()
        self._measured: tuple[Shares, Shares] | None = None
        self._measured_at_s = 0.0
        self._measuring = asyncio.Lock()

    async def get(self, _: web.Request) -> web.Response:
        usage, machine = await self._measure()
        body = {
            "allocation": asdict(self._allotment.allocation),
            "usage": asdict(usage),
            "limits": asdict(self._allotment.limits),
            "machine": asdict(machine),
        }
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    async def post(self, request: web.Request) -> web.Response:
        try:
            body = await _body(request)
            self._check_manager(request, body)
            wish = Wish.model_validate_json(body).model_dump(exclude_none=True)
            await self._allotment.change(wish)
        except TimeoutError:
            return refusal(408, f"the body took longer than {BODY_TIMEOUT_S:.0f} s")
        except web.HTTPRequestEntityTooLarge:
            return refusal(413, f"more than {MAX_BODY_BYTES} bytes")
        except InvalidSignature as error:
            return refusal(401, error.message)
        except PermissionError:
            return refusal(403, "only the node's operator may allot its resources")
        except TooManyRequests as error:
            return refusal(429, error.message)
        except ValidationError as error:
            return refusal(400, _first_problem(error))
        except AboveLimits as error:
            return refusal(422, error.message)
        return await self.get(request)

    def _check_manager(self, request: web.Request, body: bytes) -> None:
        """Raises InvalidSignature, TooManyRequests and PermissionError."""
        signer = self._callers.signer_of(request, body)
        # Nonces are remembered in memory only: what was signed before this start may be a replay.
        if read_headers(request.headers).timestamp_s < int(self._started_s):
            raise InvalidSignature("X-Wallet-Timestamp: from before this node was started")
        if signer.lower() not in self._managers:
            raise PermissionError

    async def _measure(self) -> tuple[Shares, Shares]:
        """Measured at most once in a while, however many ask."""
        async with self._measuring:
            now_s = time.monotonic()
            if self._measured is None or now_s - self._measured_at_s > MEASURED_FOR_S:
                self._measured = await asyncio.to_thread(_both, self._meter)
                self._measured_at_s = now_s
            return self._measured


def _both(meter: Meter) -> tuple[Shares, Shares]:
    return meter.node(), meter.machine()


async def _body(request: web.Request) -> bytes:
    """Raises TimeoutError, HTTPRequestEntityTooLarge."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, request.content_length or 0)
    body = bytearray()
    async with asyncio.timeout(BODY_TIMEOUT_S):
        async for piece in request.content.iter_chunked(MAX_BODY_BYTES):
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, len(body))
    return bytes(body)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
