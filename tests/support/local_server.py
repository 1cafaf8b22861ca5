"""A server of somebody else's that a test runs on a port of its own, ended by its pid."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LOOKS = 1000
LOOK_EVERY_S = 0.02


@contextmanager
def local_server(command: Sequence[str], port: int) -> Iterator[int]:
    """Its pid, once it listens on the port."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_until_listening(process, Path(command[0]).name, port)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_listening(process: "subprocess.Popen[bytes]", name: str, port: int) -> None:
    for _ in range(LOOKS):
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(LOOK_EVERY_S)
        else:
            return
    raise RuntimeError(f"{name} does not listen")
