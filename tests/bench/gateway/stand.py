"""A network with a gateway to measure: nothing in it is the bottleneck but what is measured."""

import os
import resource
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from dvllm_devnet.console import Console
from dvllm_devnet.manifest import GatewayEntry
from dvllm_devnet.network import Network, running_network
from dvllm_devnet.network_plan import NetworkPlan, on_free_ports
from dvllm_devnet.settings import DevnetSettings, load_settings
from tests.bench.gateway.neighbours import put_last, step_back
from tests.bench.market import ROOT

MODEL = "tiny"
WORKER_SLOTS = 4000

# Measured is what a call costs, not how many of them one account may make.
_UNLIMITED = {
    "LIMITS__INFERENCE": "1000000/minute",
    "LIMITS__READS": "100000000/hour",
    "LIMITS__TOKENS": "1000000000/minute",
    "TASKS__AT_ONCE_PER_ACCOUNT": "4096",
    "HTTP__CONNECTIONS_PER_ADDRESS": "20000",
    "HTTP__SOCKETS_PER_ADDRESS": "20000",
    "RATES": '{"dvllm": {"submit": "1000000/hour", "models": "100000000/hour", '
    '"status": "100000000/hour"}, "openai": {"inference": "1000000/minute", '
    '"status": "100000000/hour"}}',
}


@dataclass(frozen=True, slots=True)
class Stand:
    network: Network
    gateway: psutil.Process

    @property
    def url(self) -> str:
        return self._entry.url

    @property
    def dvllm_url(self) -> str:
        return self._entry.dvllm_url

    @property
    def dvllm_ws_url(self) -> str:
        return self._entry.dvllm_ws_url

    @property
    def _entry(self) -> GatewayEntry:
        entry = self.network.manifest.gateway
        assert entry is not None
        return entry

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.network.manifest.api_key}"}

    @property
    def log(self) -> Path:
        return self.network.essential[-1].log

    def let_gateway_go_first(self) -> None:
        """Before chain, store, node and callers, from now on: see `neighbours`."""
        others = (*self.network.essential[:-1], *(w.child for w in self.network.workers))
        put_last(other.pid for other in others)
        step_back()

    def cpu_s(self) -> float:
        return cpu_s(self.gateway)

    def rss_bytes(self) -> int:
        return int(self.gateway.memory_info().rss)


@asynccontextmanager
async def open_stand(engine: Mapping[str, str] | None = None) -> AsyncIterator[Stand]:
    """A fresh network with one worker and a gateway, in a temporary folder.

    `engine`: settings of the worker's null engine, as its environment spells them.
    """
    allow_many_files()
    os.environ.update({f"DVLLM_GATEWAY__{name}": value for name, value in _UNLIMITED.items()})
    for name, value in (engine or {}).items():
        os.environ[f"DVLLM_WORKER__ENGINE__NULL__{name}"] = value
    with tempfile.TemporaryDirectory() as folder:
        plan = NetworkPlan(
            root=ROOT,
            home=Path(folder),
            settings=on_free_ports(_settings()),
            engine={"kind": "null"},
        )
        async with running_network(plan, Console(for_json=True)) as network:
            yield Stand(network, psutil.Process(network.essential[-1].pid))


def allow_many_files() -> None:
    """Thousands of connections are as many files, here and in what is started from here."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def cpu_s(process: psutil.Process) -> float:
    """Of the process and all it started."""
    family = [process, *process.children(recursive=True)]
    times = [member.cpu_times() for member in family]
    return float(sum(each.user + each.system for each in times))


def _settings() -> DevnetSettings:
    shipped = load_settings(ROOT / "devnet.toml")
    cheap = {"input_price": 10**9, "output_price": 10**9, "flat_fee": 10**9, "max_fee": 10**15}
    return shipped.model_copy(
        update={
            "workers": shipped.workers.model_copy(update={"count": 1, "slots": WORKER_SLOTS}),
            "clocks": shipped.clocks.model_copy(update={"lease_s": 600, "open_s": 600}),
            "terms": shipped.terms.model_copy(update=cheap),
            "model": shipped.model.model_copy(update={"source": "tiny", "id": MODEL}),
            "gateway": shipped.gateway.model_copy(update={"enabled": True}),
        }
    )
