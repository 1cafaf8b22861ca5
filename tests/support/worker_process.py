"""Real `worker` processes against a real network, for tests of the node as a whole."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.ids import Address
from dvllm_devnet.worker_setup import to_toml
from tests.support.ports import free_port
from tests.support.waiting import wait_until

WORKER = Path(sys.executable).parent / "worker"


@dataclass
class WorkerProcess:
    """One node's folder and settings; `start` and `stop` as often as a test likes."""

    account: LocalAccount
    folder: Path
    port: int
    sections: Mapping[str, Mapping[str, Any]]
    process: "subprocess.Popen[bytes] | None" = None
    n_starts: int = field(default=0)

    @property
    def address(self) -> Address:
        return Address(self.account.address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        return self.folder / "worker.toml"

    def change(self, section: str, **fields: Any) -> None:
        """For the next start."""
        self.sections = {**self.sections, section: {**self.sections.get(section, {}), **fields}}

    def write_settings(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(to_toml(self.sections), encoding="utf-8")

    def start(self, *arguments: str, **environment: str) -> None:
        self.write_settings()
        self.n_starts += 1
        with (self.folder / f"log-{self.n_starts}.jsonl").open("wb") as log:
            self.process = subprocess.Popen(
                [str(WORKER), "start", "--config", str(self.config), *arguments],
                stderr=log,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **environment},
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of this node, to its end."""
        self.write_settings()
        return subprocess.run(
            [str(WORKER), *arguments, "--config", str(self.config)],
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

    async def ended(self, patience_s: float = 180.0) -> int:
        """The exit code, once there is one."""
        process = self.process
        assert process is not None
        await wait_until(
            lambda: process.poll() is not None, what="the worker's end", patience_s=patience_s
        )
        return int(process.returncode)

    def events(self) -> list[dict[str, Any]]:
        """What this process and the ones before it have logged."""
        lines: list[dict[str, Any]] = []
        for number in range(1, self.n_starts + 1):
            text = (self.folder / f"log-{number}.jsonl").read_text(encoding="utf-8")
            lines += [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return lines

    def log_text(self) -> str:
        return "\n".join(
            (self.folder / f"log-{number}.jsonl").read_text(encoding="utf-8")
            for number in range(1, self.n_starts + 1)
        )

    def stages(self, job_id: int) -> list[str]:
        return [
            event["stage"]
            for event in self.events()
            if event.get("job_id") == job_id and "stage" in event
        ]

    async def on_duty(self) -> None:
        await self.logged("on duty")

    async def logged(self, text: str, *, patience_s: float = 180.0) -> None:
        def holds() -> bool:
            process = self.process
            if process is not None and process.poll() is not None and text not in self.log_text():
                raise AssertionError(f"the worker ended before {text!r}:\n{self.log_text()}")
            return text in self.log_text()

        await wait_until(holds, what=f"{text!r} in the worker's log", patience_s=patience_s)


@contextmanager
def worker_process(
    account: LocalAccount, folder: Path, sections: Mapping[str, Mapping[str, Any]]
) -> Iterator[WorkerProcess]:
    """Ends whatever still runs; the settings' port is filled in here."""
    port = free_port()
    with_port = {**sections, "http": {**sections.get("http", {}), "port": port}}
    worker = WorkerProcess(account, folder, port, with_port)
    try:
        yield worker
    finally:
        if worker.process is not None and worker.process.poll() is None:
            worker.kill()


async def run_in_thread(worker: WorkerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(worker.run, *arguments)
