"""What the operator allots to the node, in force at once and kept over restarts."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from decentralized_vllm.content.disk import disk_errors
from decentralized_vllm.protocol.errors import DvllmError, SettingError
from dvllm_worker.resources.gate import SlotGate
from dvllm_worker.resources.shares import Shares, changed, clipped, cores_of, slots_of

log = logging.getLogger(__name__)

RETRY_S = 5.0

_SHARES = TypeAdapter(Shares)


class OffersSlots(Protocol):
    async def set_slots(self, slots: int) -> None:
        """On chain. Raises DvllmError."""


class BoundedCache(Protocol):
    def limit(self, max_bytes: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What the shares act on.

    `disk_bytes` is what 100 percent of storage is; `cache_bytes` what the cache may hold when all
    is allotted that is offered. `keep_to` gets some of `cores`.
    """

    gate: SlotGate
    cache: BoundedCache
    duty: OffersSlots
    disk_bytes: int
    cache_bytes: int
    cores: Sequence[int]
    keep_to: Callable[[Sequence[int]], None]


class Allotment:
    """`declared` slots are those of the whole offer; `limits` is that offer in percent.

    processor: the node is kept to as many whole cores (Linux), and to that part of its slots;
    memory, accelerator: to that part of its slots; storage: the model cache may grow that large.
    """

    def __init__(self, path: Path, limits: Shares, declared: int, means: Means) -> None:
        self.limits = limits
        self.allocation = clipped(_kept(path, limits), limits)
        self._path = path
        self._declared = declared
        self._means = means
        self._n_machine_cores = os.cpu_count() or 1
        self._is_paused = False
        self._is_new = asyncio.Event()
        self._chain_turn = asyncio.Lock()
        self._file_turn = asyncio.Lock()

    @property
    def slots(self) -> int:
        return slots_of(self.allocation, self.limits, self._declared)

    @property
    def slots_on_offer(self) -> int:
        """For jobs to come. What runs already keeps its slots in a pause."""
        return 0 if self._is_paused else self.slots

    @property
    def why_paused(self) -> str | None:
        """One line for the operator; None while there are slots to offer."""
        return None if self.slots else "a share of 0 percent is allotted -> POST /resources"

    def pause(self) -> None:
        """The chain hears of it a little later, as of `unpause`, from `follow`."""
        self._is_paused = True
        self._is_new.set()

    def unpause(self) -> None:
        self._is_paused = False
        self._is_new.set()

    async def change(self, wish: Mapping[str, float]) -> None:
        """The chain hears of the slots a little later, from `follow`.

        Raises AboveLimits, StorageFull and SettingError, and nothing is changed then.
        """
        async with self._file_turn:
            allocation = changed(self.allocation, wish, self.limits)
            with disk_errors("data_dir", self._path.parent):
                await asyncio.to_thread(_keep, self._path, allocation)
            self.allocation = allocation
            await self.enforce()
        self._is_new.set()
        log.info("resources allotted", extra={"slots": self.slots})

    async def enforce(self) -> None:
        means = self._means
        share_bytes = int(means.disk_bytes * self.allocation.storage / 100)
        is_whole = self.allocation.storage >= self.limits.storage
        means.cache.limit(means.cache_bytes if is_whole else share_bytes)
        await means.gate.resize(self.slots)
        n_cores = cores_of(self.allocation.cpu, self._n_machine_cores)
        await asyncio.to_thread(means.keep_to, means.cores[:n_cores])

    async def offer(self) -> None:
        """Says on chain how many slots are on offer now. Raises DvllmError."""
        async with self._chain_turn:
            await self._means.duty.set_slots(self.slots_on_offer)

    async def follow(self, is_draining: Callable[[], bool]) -> None:
        """Until cancelled. A node that drains has paused its offer, which stays so."""
        while True:
            await self._is_new.wait()
            self._is_new.clear()
            if is_draining():
                continue
            try:
                await self.offer()
            except DvllmError as error:
                log.error("the chain does not know of the slots yet: %s", error)
                await asyncio.sleep(RETRY_S)
                self._is_new.set()


def _kept(path: Path, limits: Shares) -> Shares:
    """What was allotted before; without that, everything that is offered. Raises SettingError."""
    try:
        return _SHARES.validate_json(path.read_bytes())
    except FileNotFoundError:
        return limits
    except OSError as error:
        raise SettingError("data_dir", f"{path} cannot be read: {error.strerror}") from error
    except ValidationError:
        log.warning("%s is not what this worker wrote: all is allotted that is offered", path)
        return limits


def _keep(path: Path, allocation: Shares) -> None:
    """Whole or not at all."""
    written = path.with_suffix(".new")
    written.write_bytes(to_json(allocation))
    os.replace(written, path)
