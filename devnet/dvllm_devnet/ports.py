"""Says which setting to change when a port of the network is already in use."""

import contextlib
import socket
from collections.abc import Mapping

from dvllm_devnet.errors import PortTaken


def check_ports(ports: Mapping[str, int]) -> None:
    """`ports` maps the setting's name to its port. Raises PortTaken, for the first one in use."""
    names: dict[int, str] = {}
    for setting, port in ports.items():
        if port in names:
            raise PortTaken(setting, f"port {port} is also the one of {names[port]}")
        if not is_free(port):
            raise PortTaken(
                setting,
                f"port {port} is in use by another program",
                hint=f"end that program, or choose another {setting} in devnet.toml",
            )
        names[port] = setting


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: a port that only waits out its last connections counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Distinct ports that nothing uses right now, for networks that nobody has to find."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
