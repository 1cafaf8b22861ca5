"""One of our own programs as a test runs it: a folder, settings in a file, one log per start."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dvllm_devnet.worker_setup import to_toml
from tests.support.waiting import PATIENCE_S, wait_until

PROGRAMS = Path(sys.executable).parent

Sections = Mapping[str, Mapping[str, Any]]


@dataclass
class Program:
    """`start` and `kill` or `terminate` it as often as a test likes; it is started by `NAME`."""

    NAME: ClassVar[str]

    folder: Path
    sections: Sections
    process: "subprocess.Popen[bytes] | None" = None
    n_starts: int = 0

    @property
    def config(self) -> Path:
        return self.folder / f"{self.NAME}.toml"

    def change(self, section: str, **fields: Any) -> None:
        """For the next start."""
        self.sections = {**self.sections, section: {**self.sections.get(section, {}), **fields}}

    def write_settings(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(to_toml(self.sections), encoding="utf-8")

    def start(self, *arguments: str, **environment: str) -> None:
        self.write_settings()
        self.n_starts += 1
        with self._log(self.n_starts).open("wb") as log:
            self.process = subprocess.Popen(
                self._command("start", *arguments),
                stderr=log,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **environment},
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of the same program with the same settings, to its end."""
        self.write_settings()
        return subprocess.run(
            self._command(*arguments), capture_output=True, text=True, timeout=120, check=False
        )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=20)

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Whatever still runs."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    async def ended(self, patience_s: float = PATIENCE_S) -> int:
        """The exit code, once there is one."""
        process = self.process
        assert process is not None
        await wait_until(
            lambda: process.poll() is not None,
            what=f"the end of the {self.NAME}",
            patience_s=patience_s,
        )
        return int(process.returncode)

    def events(self) -> list[dict[str, Any]]:
        """What this process and the ones before it have logged."""
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]

    def log_text(self) -> str:
        logs = (self._log(number) for number in range(1, self.n_starts + 1))
        return "\n".join(log.read_text(encoding="utf-8") for log in logs)

    async def until_log(
        self, holds: Callable[[str], bool], *, what: str, patience_s: float = PATIENCE_S
    ) -> None:
        """Raises AssertionError for a process that ends before."""

        def looked() -> bool:
            has_ended = self.process is not None and self.process.poll() is not None
            text = self.log_text()  # after that: its last words count
            if has_ended and not holds(text):
                raise AssertionError(f"the {self.NAME} ended before {what}:\n{text}")
            return holds(text)

        await wait_until(looked, what=what, patience_s=patience_s)

    def _command(self, *arguments: str) -> list[str]:
        return [str(PROGRAMS / self.NAME), *arguments, "--config", str(self.config)]

    def _log(self, number: int) -> Path:
        return self.folder / f"log-{number}.jsonl"
