"""Builds what allots and measures this node's resources, out of its settings."""

from dataclasses import dataclass

from dvllm_worker.resources.allotment import Allotment, BoundedCache, Means, OffersSlots
from dvllm_worker.resources.cores import available_cores, keep_to
from dvllm_worker.resources.gate import SlotGate
from dvllm_worker.resources.meter import Meter
from dvllm_worker.resources.nvml import NvmlMeter
from dvllm_worker.resources.offer import offered_shares
from dvllm_worker.settings import WorkerSettings
from dvllm_worker.slots import declared_slots


@dataclass(frozen=True, slots=True)
class NodeResources:
    """`gate` bounds the answers being generated."""

    allotment: Allotment
    meter: Meter
    gate: SlotGate


async def open_resources(
    settings: WorkerSettings, duty: OffersSlots, cache: BoundedCache
) -> NodeResources:
    """In force when this returns."""
    meter = Meter(settings.models_dir, NvmlMeter())
    gate = SlotGate(0)
    allotment = Allotment(
        settings.allotment_path,
        offered_shares(settings, meter),
        declared_slots(settings),
        Means(
            gate=gate,
            cache=cache,
            duty=duty,
            disk_bytes=meter.disk_bytes,
            cache_bytes=settings.models.max_bytes,
            cores=available_cores(),
            keep_to=keep_to,
        ),
    )
    await allotment.enforce()
    return NodeResources(allotment, meter, gate)
