"""What the gateway of a local network is told: a `gateway.toml`, out of `devnet.toml`."""

from dataclasses import dataclass
from pathlib import Path

from dvllm_devnet.accounts import DevAccount
from dvllm_devnet.manifest import GatewayEntry
from dvllm_devnet.settings import GatewaySettings
from dvllm_devnet.worker_setup import NetworkAddresses, Sections, to_toml

HOST = "127.0.0.1"
USER = "devnet"
DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """`node_url` is the worker whose resources it shows. Keys are public, so they may stand in
    files."""

    account: DevAccount
    folder: Path
    settings: GatewaySettings
    node_url: str

    @property
    def settings_file(self) -> Path:
        return self.folder / "gateway.toml"

    @property
    def key_file(self) -> Path:
        """The user's API key, which stays the same as long as the network lives."""
        return self.folder / "api-key"

    @property
    def admin_url(self) -> str:
        return f"http://{HOST}:{self.settings.admin_port}"

    @property
    def entry(self) -> GatewayEntry:
        return GatewayEntry(
            url=f"http://{HOST}:{self.settings.unified_port}",
            dvllm_url=f"http://{HOST}:{self.settings.dvllm_port}",
            dvllm_ws_url=f"ws://{HOST}:{self.settings.dvllm_ws_port}",
        )


def gateway_sections(plan: GatewayPlan, network: NetworkAddresses) -> Sections:
    """Sections of `gateway.toml`; the first, nameless one holds the fields outside of any."""
    ports = plan.settings
    return {
        "": {"data_dir": str(plan.folder), "log_format": "json"},
        "chain": {**network.chain_section, "poll_s": 0.5},
        "key": {
            "private_key": plan.account.private_key,
            "lock_dir": str(plan.folder.parent / "locks"),
        },
        "listen": {
            "host": HOST,
            "admin_host": HOST,
            "dvllm_port": ports.dvllm_port,
            "dvllm_ws_port": ports.dvllm_ws_port,
            "unified_port": ports.unified_port,
            "admin_port": ports.admin_port,
        },
        "content": {
            "ipfs_host": HOST,
            "ipfs_port": int(network.ipfs_api.rpartition(":")[2]),
        },
        "node": {"node_url": plan.node_url},
        "auth": {"operators": [USER]},
        "tasks": {"drain_s": DRAIN_S},
    }


def write_gateway_settings(plan: GatewayPlan, network: NetworkAddresses) -> None:
    plan.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan.settings_file.write_text(to_toml(gateway_sections(plan, network)), encoding="utf-8")
