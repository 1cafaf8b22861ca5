"""Where a network keeps what it writes. Nothing is written outside this folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """`home` is `.devnet` below the checkout, or a folder of its own for a demonstration."""

    home: Path

    @property
    def manifest(self) -> Path:
        return self.home / "devnet.json"

    @property
    def lock(self) -> Path:
        return self.home / "lock"

    @property
    def running_mark(self) -> Path:
        """There while a network runs; found at a start, it tells that the last one was killed."""
        return self.home / "running"

    @property
    def chain_state(self) -> Path:
        return self.home / "chain" / "state.json"

    @property
    def good_chain_state(self) -> Path:
        return self.home / "chain" / "state.last-good.json"

    @property
    def deployment(self) -> Path:
        return self.home / "deployment.json"

    @property
    def born_with(self) -> Path:
        """The settings the contracts were deployed with."""
        return self.home / "born-with.json"

    @property
    def store(self) -> Path:
        return self.home / "store"

    @property
    def clients(self) -> Path:
        return self.home / "clients"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def worker(self, number: int) -> Path:
        """The data folder of worker-`number`, counted from 1."""
        return self.home / f"worker-{number}"

    @property
    def gateway(self) -> Path:
        return self.home / "gateway"

    @property
    def worker_folders(self) -> tuple[Path, ...]:
        return tuple(sorted(self.home.glob("worker-*")))
