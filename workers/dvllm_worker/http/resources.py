"""`/resources`: what of the machine the node uses, read by anyone; the operator allots it."""

import asyncio
import time
from dataclasses import asdict
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from decentralized_vllm.protocol.errors import SettingError, StorageBusy, StorageFull
from dvllm_worker.http.errors import first_problem, refusal
from dvllm_worker.http.owners import Owners
from dvllm_worker.resources.allotment import Allotment
from dvllm_worker.resources.meter import Meter
from dvllm_worker.resources.shares import AboveLimits, Shares

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
    """`owners` may change the allotment: the node itself, and who its operator names."""

    def __init__(self, allotment: Allotment, meter: Meter, owners: Owners) -> None:
        self._allotment = allotment
        self._meter = meter
        self._owners = owners
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
        body = await self._owners.body_of(request)
        try:
            wish = Wish.model_validate_json(body).model_dump(exclude_none=True)
            await self._allotment.change(wish)
        except ValidationError as error:
            return refusal(400, first_problem(error))
        except AboveLimits as error:
            return refusal(422, error.message)
        except (StorageFull, StorageBusy, SettingError) as error:
            return refusal(507, error.message)
        return await self.get(request)

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
