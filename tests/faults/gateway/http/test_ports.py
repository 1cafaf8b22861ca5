"""Ports that somebody else has."""

import socket
from pathlib import Path

import pytest

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.serving import Dialects, Serving
from dvllm_gateway.settings import GatewaySettings, ListenSection
from tests.support.auth_parts import AuthParts
from tests.support.toy_dialect import Toy, toy_dialect
from tests.support.toy_server import toy_core


@pytest.mark.parametrize("name", ["unified_port", "dvllm_port", "dvllm_ws_port"])
async def test_port__that_is_taken__is_said_with_its_number_and_setting(
    tmp_path: Path, name: str
) -> None:
    free = dict.fromkeys(("unified_port", "dvllm_port", "dvllm_ws_port"), 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        listen = ListenSection(**{**free, name: port})
        settings = GatewaySettings(listen=listen)
        async with toy_core(tmp_path, AuthParts()) as core:
            serving = Serving(settings, core, Dialects(toy_dialect(Toy())), HttpOptions())
            with pytest.raises(SettingError) as refused:
                async with serving.open(""):
                    pass

    assert refused.value.setting == f"listen.{name}"
    assert str(port) in refused.value.message
    with socket.socket() as probe:  # and the others are given back
        probe.bind(("127.0.0.1", 0))
