"""Real `gateway` processes against a real network, for tests of the gateway as a whole."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from dvllm_devnet.worker_setup import to_toml
from tests.support.anvil import development_account
from tests.support.ports import free_port
from tests.support.waiting import wait_until
from tests.support.worker_network import WorkerNetwork

GATEWAY = Path(sys.executable).parent / "gateway"
GATEWAY_KEY = development_account(6)

Sections = Mapping[str, Mapping[str, Any]]


@dataclass
class GatewayProcess:
    """One gateway's folder and settings; `start` and `stop` as often as a test likes."""

    folder: Path
    sections: Sections
    process: "subprocess.Popen[bytes] | None" = None
    n_starts: int = 0

    def _url(self, port: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.sections['listen'][port]}"

    @property
    def unified_url(self) -> str:
        return self._url("unified_port")

    @property
    def dvllm_url(self) -> str:
        return self._url("dvllm_port")

    @property
    def dvllm_ws_url(self) -> str:
        return self._url("dvllm_ws_port", "ws")

    @property
    def admin_url(self) -> str:
        return self._url("admin_port")

    @property
    def config(self) -> Path:
        return self.folder / "gateway.toml"

    def write_settings(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(to_toml(self.sections), encoding="utf-8")

    def start(self, **environment: str) -> None:
        self.write_settings()
        self.n_starts += 1
        with (self.folder / f"log-{self.n_starts}.jsonl").open("wb") as log:
            self.process = subprocess.Popen(
                [str(GATEWAY), "start", "--config", str(self.config)],
                stderr=log,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **environment},
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of this gateway, to its end."""
        self.write_settings()
        return subprocess.run(
            [str(GATEWAY), *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=20)

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, patience_s: float = 60.0) -> int:
        """The exit code, once there is one."""
        process = self.process
        assert process is not None
        await wait_until(
            lambda: process.poll() is not None, what="the gateway's end", patience_s=patience_s
        )
        return int(process.returncode)

    def log_text(self) -> str:
        return "\n".join(
            (self.folder / f"log-{number}.jsonl").read_text(encoding="utf-8")
            for number in range(1, self.n_starts + 1)
        )

    def events(self) -> list[dict[str, Any]]:
        """What this process and the ones before it have logged."""
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]

    async def ready(self) -> None:
        """Listening, and with the key."""
        starts = self.n_starts

        def holds() -> bool:
            process = self.process
            text = self.log_text()
            if process is not None and process.poll() is not None:
                raise AssertionError(f"the gateway ended before it was ready:\n{text}")
            return text.count('"listening"') == starts and text.count('"key_held"') >= starts

        await wait_until(holds, what="a ready gateway")

    async def make_key(self, account: str, *scopes: str, credit: str | None = None) -> str:
        """An API key of an account, which gets so many tokens of credit."""
        if credit is not None:
            granted = await asyncio.to_thread(
                self.run, "accounts", "grant", account, credit, "--reason", "for a test"
            )
            assert granted.returncode == 0, granted.stderr
        named = ("--scopes", ",".join(scopes)) if scopes else ()
        made = await asyncio.to_thread(self.run, "keys", "create", "--account", account, *named)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()


@contextmanager
def gateway_process(
    net: WorkerNetwork, *, key: LocalAccount = GATEWAY_KEY, name: str = "gateway", **changes: Any
) -> Iterator[GatewayProcess]:
    """Not started yet; ends whatever still runs. `changes` are of sections, `top` of the rest."""
    folder = net.folder / name
    gateway = GatewayProcess(folder, _merged(_sections(net, folder, key), changes))
    try:
        yield gateway
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()


def _sections(net: WorkerNetwork, folder: Path, key: LocalAccount) -> dict[str, dict[str, Any]]:
    return {
        "": {"data_dir": str(folder / "data"), "log_format": "json"},
        "chain": {
            "eth_node_url": [net.anvil.url],
            "ws_url": net.anvil.ws_url,
            "contract_address": net.network.coordinator.address,
            "poll_s": 0.2,
        },
        "key": {
            "private_key": "0x" + bytes(key.key).hex(),
            "lock_dir": str(net.folder / "locks"),
        },
        "listen": {
            name: free_port()
            for name in ("unified_port", "dvllm_port", "dvllm_ws_port", "admin_port")
        },
        "content": {
            "ipfs_host": "127.0.0.1",
            "ipfs_port": int(net.server.api_url.rpartition(":")[2]),
        },
        "tasks": {"drain_s": 10.0},
    }


def _merged(sections: dict[str, dict[str, Any]], changes: Mapping[str, Any]) -> Sections:
    for name, fields in changes.items():
        section = "" if name == "top" else name
        sections[section] = {**sections.get(section, {}), **fields}
    return sections
