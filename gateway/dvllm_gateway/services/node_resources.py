"""Whose resources the gateway shows: the operator's node's, or without one its own host's."""

import asyncio
import logging
from typing import Protocol

from dvllm_gateway.errors import GatewayError, NetworkUnavailable, NoCapacity
from dvllm_gateway.services.announcing import Announce
from dvllm_gateway.services.events import EventName
from dvllm_gateway.services.resources import Allocation, Resources, Shares

log = logging.getLogger(__name__)

MEASURE_EVERY_S = 2.0
NOTHING = Shares(0.0, 0.0, 0.0, 0.0)
NOTHING_ALLOTTED = "this gateway has no node (node_url) whose resources could be changed"


class Gauge(Protocol):
    @property
    def machine(self) -> Shares:
        """What of the whole machine was in use when it was measured last."""


class Meter(Protocol):
    def measure(self) -> Shares:
        """What of this machine is in use, since the last call. May block for milliseconds."""


class HostResources:
    """The port NodeResources without a node: nothing is allotted, and nothing can be."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.machine = NOTHING

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.machine = await asyncio.to_thread(self._meter.measure)
            await asyncio.sleep(MEASURE_EVERY_S)

    async def read(self) -> Resources:
        return Resources(allocation=NOTHING, usage=self.machine, limits=NOTHING)

    async def change(self, wish: Allocation) -> Resources:
        raise NoCapacity(NOTHING_ALLOTTED)


class NodeReading(Protocol):
    """What a node tells of itself, and of the machine it runs on."""

    @property
    def resources(self) -> Resources: ...

    @property
    def machine(self) -> Shares: ...


class NodeDoor(Protocol):
    """The operator's node. Raises NetworkUnavailable."""

    async def read(self) -> NodeReading: ...

    async def change(self, wish: Allocation) -> NodeReading:
        """Raises NoCapacity (above its limits), InvalidRequest, Forbidden too."""


class OperatorNode:
    """The port NodeResources of a node, measured there and kept for requests here."""

    def __init__(self, door: NodeDoor, announce: Announce) -> None:
        self._door = door
        self._announce = announce
        self._reading: NodeReading | None = None

    @property
    def machine(self) -> Shares:
        return NOTHING if self._reading is None else self._reading.machine

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(MEASURE_EVERY_S)

    async def read(self) -> Resources:
        if self._reading is None:
            await self._look()
        if self._reading is None:
            raise NetworkUnavailable("the operator's node does not answer")
        return self._reading.resources

    async def change(self, wish: Allocation) -> Resources:
        self._reading = await self._door.change(wish)
        resources = self._reading.resources
        await self._announce(EventName.RESOURCES_CHANGED, resources.allocation)
        return resources

    async def _look(self) -> None:
        """What a node said is forgotten as soon as it does not answer."""
        try:
            self._reading = await self._door.read()
        except GatewayError as error:
            if self._reading is not None:
                log.warning("the operator's node does not answer: %s", error.message)
            self._reading = None
