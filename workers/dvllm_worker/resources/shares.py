"""Percentages of the machine, and what they come to. Pure."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from decentralized_vllm.protocol.errors import PermanentError


class AboveLimits(PermanentError):
    """More was asked for than `worker.toml` offers."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Percent, 0 to 100, of processor, memory, accelerator and disk."""

    cpu: float
    memory: float
    gpu: float
    storage: float


def changed(allocation: Shares, wish: Mapping[str, float], limits: Shares) -> Shares:
    """Raises AboveLimits, and nothing is changed then."""
    for name, share in wish.items():
        limit = getattr(limits, name)
        if share > limit:
            raise AboveLimits(f"{name}: {share:g} percent is above the limit of {limit:g}")
    return replace(allocation, **wish)


def clipped(shares: Shares, limits: Shares) -> Shares:
    limit = asdict(limits)
    return Shares(**{name: min(share, limit[name]) for name, share in asdict(shares).items()})


def slots_of(allocation: Shares, limits: Shares, declared: int) -> int:
    """Slots follow the scarcest of processor, memory and accelerator; 0 of one is 0 slots.

    What the machine does not have limits nothing.
    """
    pairs = (
        (allocation.cpu, limits.cpu),
        (allocation.memory, limits.memory),
        (allocation.gpu, limits.gpu),
    )
    scarcest = min((share / limit for share, limit in pairs if limit > 0), default=1.0)
    return 0 if scarcest == 0 else max(1, math.floor(declared * scarcest))


def cores_of(cpu: float, n_cores: int) -> int:
    """Whole cores, at least one."""
    return max(1, math.ceil(n_cores * cpu / 100))
