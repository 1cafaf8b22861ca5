"""Settings that only those parts can judge which are built with them."""

import pytest

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.apis import check_default
from dvllm_gateway.settings import GatewaySettings, HttpSection, KeySection
from dvllm_gateway.surroundings import checked_node_url
from dvllm_gateway.trading import till_settings


def test_default_dialect__that_nobody_serves__is_named() -> None:
    for known in (None, "dvllm", "openai"):
        check_default(GatewaySettings(http=HttpSection(default_dialect=known)))

    with pytest.raises(SettingError, match=r"^http\.default_dialect: "):
        check_default(GatewaySettings(http=HttpSection(default_dialect="openia")))


def test_credit__full_before_it_is_low__is_named() -> None:
    with pytest.raises(SettingError, match=r"^key\.credit_full: "):
        till_settings(KeySection(credit_low="200"))


@pytest.mark.parametrize("url", ["", "localhost:8700", "ftp://a.example", "http://", "http://[a"])
def test_node_url__that_is_none__is_named(url: str) -> None:
    assert checked_node_url("http://127.0.0.1:8700") == "http://127.0.0.1:8700"

    with pytest.raises(SettingError, match=r"^node\.node_url: "):
        checked_node_url(url)
