from ipaddress import ip_network

import pytest

from dvllm_gateway.http.client_address import counted_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("198.51.100.7", None, "198.51.100.7"),
        ("198.51.100.7", "1.2.3.4", "198.51.100.7"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "1.2.3.4, garbage, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("fd00::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", None, "2001:db8:1:3::/64"),
        ("::ffff:198.51.100.7", None, "198.51.100.7"),
        ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("fe80::1%eth0", None, "fe80::/64"),
        (None, "1.2.3.4", "unknown"),
        ("/run/socket", None, "unknown"),
    ],
)
def test_counted_address(peer: str | None, forwarded: str | None, counted: str) -> None:
    assert counted_address(peer, forwarded, PROXIES) == counted


def test_forwarded__without_trusted_proxies__means_nothing() -> None:
    assert counted_address("10.0.0.1", "1.2.3.4", ()) == "10.0.0.1"
