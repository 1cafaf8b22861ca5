"""The most that may be allotted: what `worker.toml` offers, in percent of the machine."""

import psutil

from dvllm_worker.resources.meter import Meter
from dvllm_worker.resources.shares import Shares
from dvllm_worker.settings import WorkerSettings


def offered_shares(settings: WorkerSettings, meter: Meter) -> Shares:
    """From max_cpu_percent, max_ram_mib and models.max_bytes; all of an accelerator if there."""
    node = settings.node
    n_cores = psutil.cpu_count() or 1
    memory_mib = psutil.virtual_memory().total >> 20
    return Shares(
        cpu=_percent(node.max_cpu_percent, 100 * n_cores),
        memory=_percent(node.max_ram_mib, memory_mib),
        gpu=100.0 if meter.has_gpu else 0.0,
        storage=_percent(settings.models.max_bytes, meter.disk_bytes),
    )


def _percent(amount: int | None, of: int) -> float:
    return 100.0 if amount is None else round(min(100.0, 100 * amount / of), 2)
