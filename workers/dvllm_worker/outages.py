"""Keeps new jobs away from a node while a store that it would need for them does not answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

log = logging.getLogger(__name__)

PROBE_EVERY_S = 5.0

# Stores by the settings that name them, since those are what an operator can change.
GATEWAYS = "content.gateways"
MIRROR = "content.mirror_api"

Probe = Callable[[], Awaitable[bool]]


class Offer(Protocol):
    def pause(self) -> None: ...

    def unpause(self) -> None: ...


class Outages:
    """Whoever works in vain because of a store reports it; `run` asks it until it answers again.

    A store out of order is no reason by itself: most requesters hand their prompts over.
    """

    def __init__(self, probes: Mapping[str, Probe], offer: Offer) -> None:
        self._probes = probes
        self._offer = offer
        self._out: dict[str, str] = {}
        self._reported = asyncio.Event()

    @property
    def why_paused(self) -> str | None:
        """One line for the operator; None while all is well."""
        if not self._out:
            return None
        return "; ".join(self._out.values())

    def report(self, setting: str, trouble: str, *, reason: str = "") -> None:
        """Does nothing for a store that is known to be out, or that nothing could bring back.

        `trouble` is told to everybody; `reason` may name inner addresses and is only logged.
        """
        if setting in self._out or setting not in self._probes:
            return
        self._out[setting] = f"{setting}: {trouble}"
        log.error("no new jobs are taken: %s", self._out[setting], extra={"reason": reason})
        self._offer.pause()
        self._reported.set()

    async def run(self) -> None:
        while True:
            await self._reported.wait()
            await asyncio.sleep(PROBE_EVERY_S)
            for setting in list(self._out):
                if await self._probes[setting]():
                    del self._out[setting]
                    log.info("%s answers again", setting)
            if not self._out:
                self._reported.clear()
                self._offer.unpause()
