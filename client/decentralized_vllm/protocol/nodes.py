"""A node: what it says of itself (profile), and what the coordinator holds it to (account)."""

from dataclasses import dataclass

from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, Wei


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """What an operator announces. Memory is MiB, CPU percent of one core.

    `payout` is fixed at registration; the zero address stands for the operator itself.
    """

    max_ram_mib: int
    max_vram_mib: int
    max_cpu_percent: int
    endpoint: str = ""
    encryption_key: bytes = b""
    region: str = ""
    payout: Address = ZERO_ADDRESS
    slots: int = 1


@dataclass(frozen=True, slots=True)
class RegisteredNode:
    operator: Address
    profile: NodeProfile
    registered_at_s: int
    is_registered: bool


@dataclass(frozen=True, slots=True)
class NodeAccount:
    """A node's stake and duty. `stake_wei` includes the locked part, not the cooling one.

    `number` 0 says that the coordinator does not know the node.
    """

    operator: Address
    number: int
    payout: Address
    slots: int
    n_in_flight: int
    stake_wei: Wei
    locked_wei: Wei
    cooling_wei: Wei
    cooling_until_s: int
    locked_until_s: int
    escrow_in_flight_wei: Wei
    pending_earnings_wei: Wei
    is_suspended: bool


@dataclass(frozen=True, slots=True)
class Clocks:
    """The coordinator's clocks; see rules of a job."""

    grace_s: int
    epoch_s: int
    cool_down_s: int
    max_attempts: int
