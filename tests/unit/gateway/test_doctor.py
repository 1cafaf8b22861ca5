"""The doctor finds what a start would refuse, before there is a chain to ask."""

from pathlib import Path
from typing import Any

import pytest

from dvllm_gateway.doctor import examine_all
from dvllm_gateway.settings import GatewaySettings, ListenSection

FREE_PORTS = ListenSection(dvllm_port=0, dvllm_ws_port=0, unified_port=0, admin_port=0)


async def names_found_wrong(tmp_path: Path, **sections: Any) -> dict[str, str]:
    settings = GatewaySettings(data_dir=tmp_path, listen=FREE_PORTS, **sections)
    return {check.name: check.finding for check in await examine_all(settings) if not check.is_ok}


@pytest.mark.parametrize(
    ("sections", "setting"),
    [
        ({"limits": {"inference": "lots"}}, "limits.inference"),
        ({"limits": {"bad_credentials": "lots"}}, "limits.bad_credentials"),
        ({"limits": {"redis_url": "http://h"}}, "limits.redis_url"),
        ({"rates": {"tea": {"submit": "1/minute"}}}, "rates.tea.submit"),
        ({"http": {"default_dialect": "tea"}}, "http.default_dialect"),
        ({"http": {"public_origins": ("gateway",)}}, "http.public_origins"),
        ({"auth": {"operators": ("0x12",)}}, "auth.operators"),
        ({"node": {"node_url": "here"}}, "node.node_url"),
        ({"key": {"credit_low": "200"}}, "key.credit_full"),
        ({"deposits": {"min_top_up": "little"}}, "deposits.min_top_up"),
        ({"deposits": {"ignored": ("0x12",)}}, "deposits.ignored"),
    ],
)
async def test_doctor__of_settings_that_a_start_refuses__names_them(
    tmp_path: Path, sections: dict[str, Any], setting: str
) -> None:
    found = await names_found_wrong(tmp_path, **sections)
    assert found["settings"].startswith(f"{setting}: ")


async def test_doctor__of_settings_that_are_right__says_nothing_of_them(tmp_path: Path) -> None:
    assert set(await names_found_wrong(tmp_path)) == {"chain", "key"}
