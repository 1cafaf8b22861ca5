"""What a machine uses, may use, and is told to use; every figure is a percentage of the machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shares:
    """Percent, 0 to 100, of processor, memory, accelerator and disk."""

    cpu: float
    memory: float
    gpu: float
    storage: float


@dataclass(frozen=True, slots=True)
class Resources:
    allocation: Shares
    usage: Shares
    limits: Shares


@dataclass(frozen=True, slots=True)
class Allocation:
    """A wish to change some of the shares; None leaves one as it is."""

    cpu: float | None = None
    memory: float | None = None
    gpu: float | None = None
    storage: float | None = None
