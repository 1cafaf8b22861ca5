"""`dvllm-devnet` as people run it: a process of its own, here on free ports and in a folder."""

import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from dvllm_devnet.manifest import Manifest, read_manifest
from tests.support.ports import free_ports

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sysconfig.get_path("scripts")) / "dvllm-devnet"
START_TIMEOUT_S = 180
END_TIMEOUT_S = 60


def free_port_settings() -> dict[str, str]:
    """Environment that moves a network of up to four workers to free ports."""
    first = free_ports(11)
    names = (
        "CHAIN__PORT",
        "CONTENT__API_PORT",
        "CONTENT__GATEWAY_PORT",
        "GATEWAY__DVLLM_PORT",
        "GATEWAY__DVLLM_WS_PORT",
        "GATEWAY__UNIFIED_PORT",
        "GATEWAY__ADMIN_PORT",
        "WORKERS__FIRST_PORT",
    )
    return {f"DVLLM_DEVNET__{name}": str(first + i) for i, name in enumerate(names)}


TINY_MODEL = {
    "DVLLM_DEVNET__MODEL__SOURCE": "tiny",
    "DVLLM_DEVNET__MODEL__ID": "tiny",
    "DVLLM_DEVNET__MODEL__NAME": "Tiny",
}


class DevnetProcess:
    """What it prints goes to files beside `home`, so that a pipe never fills up."""

    def __init__(
        self, home: Path, arguments: tuple[str, ...], env: dict[str, str], name: str = "net"
    ) -> None:
        self.home = home
        self._out = home.parent / f"{name}.out"
        self._err = home.parent / f"{name}.err"
        command = [str(SCRIPT), *arguments, "--home", str(home), "--config", "devnet.toml"]
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=out, stderr=err, stdin=subprocess.DEVNULL
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def family(self) -> list[psutil.Process]:
        """It and everything it started."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def wait_for_manifest(self) -> Manifest:
        """The one of this start: a network that was killed leaves its own behind."""
        self.wait_for_text("ready: ")
        return read_manifest(self.home / "devnet.json")

    def wait_for_text(self, text: str) -> None:
        self._wait(lambda: text in self.out or text in self.err)

    def end(self, stop_signal: signal.Signals) -> int:
        self.process.send_signal(stop_signal)
        return self.process.wait(timeout=END_TIMEOUT_S)

    def _wait(self, is_there: Callable[[], bool]) -> None:
        given_up = time.monotonic() + START_TIMEOUT_S
        while not is_there():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.err}")
            if time.monotonic() > given_up:
                raise AssertionError(f"took too long: {self.out}\n{self.err}")
            time.sleep(0.05)


@contextmanager
def running(home: Path, *arguments: str, env: dict[str, str]) -> Iterator[DevnetProcess]:
    """Ends it, if nothing else did, and checks that nothing it started is left."""
    devnet = DevnetProcess(home, arguments, env)
    try:
        yield devnet
    finally:
        if devnet.process.poll() is None:
            family = devnet.family()
            devnet.end(signal.SIGTERM)
            assert still_alive(family) == []


def still_alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that do not end soon by themselves."""
    alive = psutil.wait_procs(processes, timeout=15)[1]
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
