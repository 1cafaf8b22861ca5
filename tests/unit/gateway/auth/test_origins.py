"""The names of a gateway, in all the spellings that mean the same."""

import pytest

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.errors import InvalidRequest
from dvllm_gateway.ids import read_account_id, read_address, wallet_of
from dvllm_gateway.services.origins import PublicOrigins

CHECKSUMMED = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"


def test_of__default_ports__are_known_written_out_or_not() -> None:
    origins = PublicOrigins.of(["https://Gate.Example:443/", "ws://localhost:8546", "http://[::1]"])
    assert origins.origins == ("https://gate.example", "ws://localhost:8546", "http://[::1]")
    assert origins.authorities == {
        "gate.example",
        "gate.example:443",
        "localhost:8546",
        "[::1]",
        "[::1]:80",
    }
    assert (origins.own_domain, origins.own_uri) == ("gate.example", "https://gate.example")


@pytest.mark.parametrize(
    "url", ["", "gate.example", "ftp://gate.example", "https://", "https://u@h", "https://h:99999"]
)
def test_of__no_origin__refused(url: str) -> None:
    with pytest.raises(SettingError, match="public_origins"):
        PublicOrigins.of([url])


def test_of__none__refused() -> None:
    with pytest.raises(SettingError, match="public_origins"):
        PublicOrigins.of([])


@pytest.mark.parametrize("text", ["team-7", "ci", "a.b_c", "7"])
def test_read_account_id__name__kept(text: str) -> None:
    assert read_account_id(text) == text
    assert wallet_of(read_account_id(text)) is None


@pytest.mark.parametrize("text", [CHECKSUMMED, CHECKSUMMED.lower(), "0x" + CHECKSUMMED[2:].upper()])
def test_read_account_id__address__lower_case(text: str) -> None:
    assert read_account_id(text) == CHECKSUMMED.lower()
    assert wallet_of(read_account_id(text)) == read_address(text) == CHECKSUMMED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Team",
        "a b",
        "ip:1.2.3.4",
        "0xabc",
        "-x",
        "a" * 65,
        "0xc02" + CHECKSUMMED[5:],
        "ä",
        "a\n",
    ],
)
def test_read_account_id__neither__refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_account_id(text)
