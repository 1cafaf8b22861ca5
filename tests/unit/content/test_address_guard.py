"""Addresses that a stranger must not make us call (F51's list, for content)."""

import pytest

from decentralized_vllm.content.address_guard import check_public_address, check_public_url
from decentralized_vllm.protocol.errors import ContentUnavailable

INTERNAL = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:a00:1::",
    "2001:db8::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", INTERNAL)
def test_check_public_address__internal__is_refused(address: str) -> None:
    with pytest.raises(ContentUnavailable, match="not a public address"):
        check_public_address(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_check_public_address__public__passes(address: str) -> None:
    check_public_address(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[fe80::1%25eth0]", "user:pass@10.0.0.1"])
def test_check_public_url__address_in_the_url__is_refused(host: str) -> None:
    with pytest.raises(ContentUnavailable, match="not a public address"):
        check_public_url(f"http://{host}:8080/ipfs/x")


def test_check_public_url__name__is_left_to_the_resolver() -> None:
    check_public_url("https://gateway.example/ipfs/x")
