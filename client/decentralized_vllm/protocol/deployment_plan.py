"""How a network's contracts are deployed: which, in which order, told what. Pure data.

Executors stand on this: `scripts/deploy.py` for ape, `chain/deployment.py` for local networks. One
step is one transaction of the deployer, without others between: the coordinator is told the
addresses of registries that do not exist yet, and their constructors check that it was told right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.nodes import Clocks
from decentralized_vllm.protocol.units import tokens

TOKEN = "token"
COORDINATOR = "coordinator"
MODEL_REGISTRY = "model_registry"
NODE_REGISTRY = "node_registry"

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class AddressOf:
    """Stands for the address of another step's contract."""

    step: str


Argument: TypeAlias = "int | str | AddressOf | Mapping[str, Argument]"
Value: TypeAlias = "int | str | tuple[Value, ...]"
Named: TypeAlias = "int | str | dict[str, Named]"


@dataclass(frozen=True, slots=True)
class Step:
    """One contract. Arguments, and the fields of structs, are in the order of the constructor."""

    name: str
    contract: str
    arguments: Mapping[str, Argument]


@dataclass(frozen=True, slots=True)
class TermsBounds:
    """What terms a coordinator accepts; both ends belong to the range."""

    min_max_fee_gwei: int
    max_max_fee_gwei: int
    min_lease_s: int
    max_lease_s: int
    min_open_s: int
    max_open_s: int


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """All that a network is born with. `token` names an existing ERC-20 to use instead of NEURO."""

    owner: Address
    treasury: Address
    clocks: Clocks
    announce_delay_s: int
    fee_bps: int
    stake_unit_wei: Wei
    publisher_bond_wei: Wei
    no_show_reward_cap_wei: Wei
    bounds: TermsBounds
    default_terms: Terms
    supply_wei: Wei
    token: Address | None = None


PUBLIC_CLOCKS = Clocks(grace_s=15, epoch_s=1_800, cool_down_s=7 * DAY_S, max_attempts=4)
PUBLIC_BOUNDS = TermsBounds(
    min_max_fee_gwei=10**8,  # 0.1 NEURO: ten of it, a job's lock, outweigh the cost of a panel
    max_max_fee_gwei=10**14,
    min_lease_s=30,
    max_lease_s=3_600,
    min_open_s=30,
    max_open_s=3_600,
)
LOCAL_BOUNDS = TermsBounds(
    min_max_fee_gwei=1,
    max_max_fee_gwei=2**48 - 1,
    min_lease_s=1,
    max_lease_s=2**16 - 1,
    min_open_s=1,
    max_open_s=2**16 - 1,
)
PUBLIC_TERMS = Terms(
    input_price_gwei=10**5,
    output_price_gwei=10**6,
    flat_fee_gwei=10**7,
    max_fee_gwei=10**10,
    lease_s=120,
    open_s=300,
    max_input_tokens=4_096,
    max_output_tokens=2_048,
)


def public_network(
    owner: Address, treasury: Address, token: Address | None = None
) -> NetworkSettings:
    """The defaults of a real network."""
    return NetworkSettings(
        owner=owner,
        treasury=treasury,
        clocks=PUBLIC_CLOCKS,
        announce_delay_s=DAY_S,
        fee_bps=200,
        stake_unit_wei=tokens(1_000),
        publisher_bond_wei=tokens(1_000),
        no_show_reward_cap_wei=tokens(1),
        bounds=PUBLIC_BOUNDS,
        default_terms=PUBLIC_TERMS,
        supply_wei=tokens(10**9),
        token=token,
    )


def deployment_steps(settings: NetworkSettings) -> tuple[Step, ...]:
    market = (
        Step(COORDINATOR, "InferenceCoordinator", {"c": _coordinator_config(settings)}),
        Step(
            MODEL_REGISTRY,
            "ModelRegistry",
            {
                "coordinator_": AddressOf(COORDINATOR),
                "owner_": settings.owner,
                "defaultTerms_": _terms(settings.default_terms),
            },
        ),
        Step(NODE_REGISTRY, "NodeProfileRegistry", {"coordinator_": AddressOf(COORDINATOR)}),
    )
    if settings.token is not None:
        return market
    return (Step(TOKEN, "NetworkToken", {"supply": settings.supply_wei}), *market)


def predicted_addresses(
    steps: Sequence[Step], deployer: Address, first_nonce: int
) -> dict[str, Address]:
    """Step's name → where its contract will be, if the steps use the nonces from `first_nonce`."""
    return {step.name: contract_address(deployer, first_nonce + i) for i, step in enumerate(steps)}


def contract_address(deployer: Address, nonce: int) -> Address:
    """The address of the contract a plain CREATE makes: keccak of the RLP list of both."""
    payload = b"\x94" + bytes.fromhex(deployer[2:]) + _rlp_integer(nonce)
    return Address(to_checksum_address(keccak(bytes([0xC0 + len(payload)]) + payload)[12:]))


def _rlp_integer(number: int) -> bytes:
    digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
    is_its_own_code = len(digits) == 1 and number < 0x80
    return digits if is_its_own_code else bytes([0x80 + len(digits)]) + digits


def constructor_values(step: Step, addresses: Mapping[str, Address]) -> tuple[Value, ...]:
    """In the shape an ABI encoder takes: a struct is a tuple. Raises KeyError: unknown step."""
    return tuple(_value(argument, addresses) for argument in step.arguments.values())


def constructor_names(step: Step, addresses: Mapping[str, Address]) -> dict[str, Named]:
    """The same values by name, for the record. Raises KeyError: unknown step."""
    return {name: _named(argument, addresses) for name, argument in step.arguments.items()}


def _value(argument: Argument, addresses: Mapping[str, Address]) -> Value:
    if isinstance(argument, AddressOf):
        return addresses[argument.step]
    if isinstance(argument, Mapping):
        return tuple(_value(field, addresses) for field in argument.values())
    return argument


def _named(argument: Argument, addresses: Mapping[str, Address]) -> Named:
    if isinstance(argument, AddressOf):
        return addresses[argument.step]
    if isinstance(argument, Mapping):
        return {name: _named(field, addresses) for name, field in argument.items()}
    return argument


def _coordinator_config(settings: NetworkSettings) -> Mapping[str, Argument]:
    """Field by field `struct CoordinatorConfig`."""
    return {
        "token": AddressOf(TOKEN) if settings.token is None else settings.token,
        "modelRegistry": AddressOf(MODEL_REGISTRY),
        "nodeRegistry": AddressOf(NODE_REGISTRY),
        "owner": settings.owner,
        "treasury": settings.treasury,
        "stakeUnit": settings.stake_unit_wei,
        "publisherBond": settings.publisher_bond_wei,
        "noShowRewardCap": settings.no_show_reward_cap_wei,
        "feeBps": settings.fee_bps,
        "announceDelaySeconds": settings.announce_delay_s,
        "clocks": _clocks(settings.clocks),
        "bounds": _bounds(settings.bounds),
    }


def _clocks(clocks: Clocks) -> Mapping[str, Argument]:
    return {
        "graceSeconds": clocks.grace_s,
        "epochSeconds": clocks.epoch_s,
        "coolDownSeconds": clocks.cool_down_s,
        "maxAttempts": clocks.max_attempts,
    }


def _bounds(bounds: TermsBounds) -> Mapping[str, Argument]:
    return {
        "minMaxFeeGwei": bounds.min_max_fee_gwei,
        "maxMaxFeeGwei": bounds.max_max_fee_gwei,
        "minLeaseSeconds": bounds.min_lease_s,
        "maxLeaseSeconds": bounds.max_lease_s,
        "minOpenSeconds": bounds.min_open_s,
        "maxOpenSeconds": bounds.max_open_s,
    }


def _terms(terms: Terms) -> Mapping[str, Argument]:
    return {
        "inputPriceGwei": terms.input_price_gwei,
        "outputPriceGwei": terms.output_price_gwei,
        "flatFeeGwei": terms.flat_fee_gwei,
        "maxFeeGwei": terms.max_fee_gwei,
        "leaseSeconds": terms.lease_s,
        "openSeconds": terms.open_s,
        "maxInputTokens": terms.max_input_tokens,
        "maxOutputTokens": terms.max_output_tokens,
    }
