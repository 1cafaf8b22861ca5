"""The keys of a local network: those of anvil's public test mnemonic, for nothing else."""

from dataclasses import dataclass

from eth_account import Account
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

from decentralized_vllm.protocol.ids import Address

MNEMONIC = "test test test test test test test test test test test junk"
GATEWAY_INDEX = 34  # behind the workers of the largest network


@dataclass(frozen=True, slots=True)
class DevAccount:
    name: str
    address: Address
    private_key: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part in a local network."""

    deployer: DevAccount
    requester: DevAccount
    gateway: DevAccount
    workers: tuple[DevAccount, ...]

    @property
    def all(self) -> tuple[DevAccount, ...]:
        return (self.deployer, self.requester, self.gateway, *self.workers)


def make_cast(n_workers: int) -> Cast:
    names = ["deployer", "requester", *(f"worker-{n + 1}" for n in range(n_workers))]
    seed = seed_from_mnemonic(MNEMONIC, "")
    deployer, requester, *workers = (_account(seed, n, name) for n, name in enumerate(names))
    gateway = _account(seed, GATEWAY_INDEX, "gateway")
    return Cast(deployer, requester, gateway, tuple(workers))


def _account(seed: bytes, index: int, name: str) -> DevAccount:
    key = key_from_seed(seed, f"m/44'/60'/0'/0/{index}")
    address = Address(Account.from_key(key).address)
    return DevAccount(name, address, f"0x{key.hex()}")
