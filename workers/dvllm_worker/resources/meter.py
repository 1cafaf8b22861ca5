"""Measures the machine, and this node's part of it: the worker and every process below it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from dvllm_worker.models.cache import tree_bytes
from dvllm_worker.resources.shares import Shares


@dataclass(frozen=True, slots=True)
class Gpus:
    """Mean load and memory in use of all accelerators, in percent."""

    load: float
    memory: float


class GpuMeter(Protocol):
    def measure(self) -> Gpus | None:
        """None where there is no accelerator that can be measured."""


class Meter:
    """`folder` is the model cache; storage is what it holds. All calls block for milliseconds."""

    def __init__(self, folder: Path, gpus: GpuMeter) -> None:
        self._folder = folder
        self._gpus = gpus
        self._processes: dict[int, psutil.Process] = {}
        psutil.cpu_percent(None)  # later calls measure since the one before

    @property
    def has_gpu(self) -> bool:
        return self._gpus.measure() is not None

    def node(self) -> Shares:
        """The accelerator's share is that of its load, which can not be told by process."""
        cpu, memory = self._own()
        gpus = self._gpus.measure()
        return Shares(
            cpu=cpu,
            memory=memory,
            gpu=0.0 if gpus is None else gpus.load,
            storage=round(100 * self._cache_bytes() / self.disk_bytes, 2),
        )

    def machine(self) -> Shares:
        gpus = self._gpus.measure()
        return Shares(
            cpu=psutil.cpu_percent(None),
            memory=psutil.virtual_memory().percent,
            gpu=0.0 if gpus is None else gpus.load,
            storage=psutil.disk_usage(str(self._existing())).percent,
        )

    @property
    def disk_bytes(self) -> int:
        return int(psutil.disk_usage(str(self._existing())).total)

    def _own(self) -> tuple[float, float]:
        """Percent of all cores since the last call, and of the memory."""
        me = psutil.Process()
        found = {process.pid: process for process in (me, *me.children(recursive=True))}
        # A process measures since it was asked last: the same objects are asked again.
        self._processes = {pid: self._processes.get(pid, new) for pid, new in found.items()}
        cpu, resident_bytes = 0.0, 0
        for process in self._processes.values():
            try:
                cpu += process.cpu_percent(None)
                resident_bytes += process.memory_info().rss
            except psutil.Error:
                continue  # it just ended
        n_cores = psutil.cpu_count() or 1
        memory = 100 * resident_bytes / psutil.virtual_memory().total
        return round(min(100.0, cpu / n_cores), 2), round(min(100.0, memory), 2)

    def _cache_bytes(self) -> int:
        return tree_bytes(self._folder) if self._folder.is_dir() else 0

    def _existing(self) -> Path:
        return next(p for p in (self._folder, *self._folder.resolve().parents) if p.exists())
