"""What each worker of a local network is told: a `worker.toml` of its own, out of `devnet.toml`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decentralized_vllm.chain.network import ChainSettings
from decentralized_vllm.protocol.ids import Address
from dvllm_devnet.accounts import DevAccount

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class NetworkAddresses:
    """How a process reaches the running network."""

    rpc_url: str
    ws_url: str
    chain_id: int
    coordinator: Address
    first_block: int
    ipfs_api: str
    ipfs_gateway: str

    @property
    def chain_section(self) -> dict[str, Any]:
        """As the settings of workers and gateways spell it."""
        return {
            "eth_node_url": [self.rpc_url],
            "ws_url": self.ws_url,
            "contract_address": self.coordinator,
            "chain_id": self.chain_id,
            "first_block": self.first_block,
        }

    @property
    def chain_settings(self) -> ChainSettings:
        return ChainSettings(
            eth_node_url=(self.rpc_url,),
            contract_address=self.coordinator,
            chain_id=self.chain_id,
            first_block=self.first_block,
        )


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One worker of the network. Its key is public, so it may stand in a file.

    `managers` may allot its resources beside itself.
    """

    account: DevAccount
    data_dir: Path
    port: int
    slots: int
    stake_wei: int
    managers: tuple[Address, ...] = ()

    @property
    def name(self) -> str:
        return self.account.name

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lock_dir(self) -> Path:
        """Shared by the workers of this network only."""
        return self.data_dir.parent / "locks"

    @property
    def settings_file(self) -> Path:
        return self.data_dir / "worker.toml"


def worker_sections(
    plan: WorkerPlan, network: NetworkAddresses, engine: Mapping[str, Any], block_time_s: float
) -> Sections:
    """Sections of `worker.toml`; the first, nameless one holds the fields outside of any."""
    return {
        "": {"data_dir": str(plan.data_dir), "log_format": "json"},
        "chain": {**network.chain_section, "block_time_s": block_time_s},
        # Everybody's local networks use the same keys, and those born in one second the same chain.
        "key": {"private_key": plan.account.private_key, "lock_dir": str(plan.lock_dir)},
        "node": {
            "slots": plan.slots,
            "endpoint": plan.url,
            "region": "local",
            "resume_on_start": True,
            "take_jitter_s": 0.5,
            "settle_every_s": 60.0,
            "managers": list(plan.managers),
        },
        "http": {"port": plan.port},
        "content": {
            "gateways": [network.ipfs_gateway],
            "allow_private_addresses": True,
            "mirror_api": network.ipfs_api,
        },
        "limits": {"drain_s": 5.0, "sweep_every_s": 2.0},
        "engine": dict(engine),
    }


def to_toml(sections: Sections) -> str:
    """Texts, numbers, booleans and lists of them; TOML spells these as JSON does."""
    lines: list[str] = []
    for name, fields in sections.items():
        if name:
            lines.append(f"\n[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    return "\n".join(lines) + "\n"


def write_settings(plan: WorkerPlan, sections: Sections) -> None:
    plan.data_dir.mkdir(parents=True, exist_ok=True)
    plan.settings_file.write_text(to_toml(sections), encoding="utf-8")
