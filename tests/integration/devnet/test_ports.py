import socket

import pytest

from decentralized_vllm.protocol.errors import SettingError
from dvllm_devnet.errors import PortTaken
from dvllm_devnet.ports import check_ports, free_block


def test_check_ports__one_is_taken__error_names_port_and_setting():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"content\.api_port: port {port} is in use"):
            check_ports({"chain.port": free_block(1), "content.api_port": port})


def test_check_ports__two_settings_with_one_port__is_refused():
    port = free_block(1)
    with pytest.raises(PortTaken, match=r"also the one of chain\.port"):
        check_ports({"chain.port": port, "content.api_port": port})


def test_check_ports__workers_are_counted_past_the_last_port__is_refused():
    with pytest.raises(SettingError, match=r"worker-2.*above 65535"):
        check_ports({"workers.first_port (worker-2)": 65_536})


def test_free_block__several__pass_the_check():
    first = free_block(4)
    check_ports({str(port): port for port in range(first, first + 4)})
