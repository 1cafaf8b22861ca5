"""Says which setting to change when a port of the network is already in use."""

import random
import socket
from collections.abc import Mapping

from decentralized_vllm.protocol.errors import SettingError
from dvllm_devnet.errors import PortTaken

_LOWEST, _HIGHEST = 20_000, 32_000
_LAST = 65_535


def check_ports(ports: Mapping[str, int]) -> None:
    """`ports` maps the setting's name to its port.

    Raises PortTaken, for the first one in use, and SettingError for one that is counted too far.
    """
    names: dict[int, str] = {}
    for setting, port in ports.items():
        if port > _LAST:
            raise SettingError(setting, f"port {port} is above {_LAST}, the last there is")
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


def free_block(count: int) -> int:
    """The first of `count` ports in a row that nothing uses right now.

    They are below the range that systems give to outgoing connections, one of which could take a
    port between this look at it and its use.
    """
    while True:
        first = random.randrange(_LOWEST, _HIGHEST - count)
        if all(is_free(port) for port in range(first, first + count)):
            return first
