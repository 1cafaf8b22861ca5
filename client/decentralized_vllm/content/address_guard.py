"""Keeps requests that strangers direct away from this machine and its networks (SSRF)."""

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from decentralized_vllm.protocol.errors import ContentUnavailable

# Carries an IPv4 address in its last four bytes, and is judged by it.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Not reachable from outside, whatever this Python's tables say.
_LOCAL = tuple(map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "fec0::/10", "::/96")))


class PublicResolver(AbstractResolver):
    """Resolves names and refuses the answer if any address of it is not public.

    aiohttp connects to exactly the addresses given here, so a second look-up can't differ.
    """

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            check_public_address(result["host"])
        return found

    async def close(self) -> None:
        await self._resolver.close()


def is_plain_base(url: str) -> bool:
    """Whether a stranger's address is `http(s)://host[:port][/path]` and nothing more."""
    try:
        parsed = URL(url)
    except ValueError:
        return False
    has_more = parsed.user or parsed.password or parsed.query_string or parsed.fragment
    return parsed.scheme in ("http", "https") and bool(parsed.host) and not has_more


def check_public_url(url: str) -> None:
    """Raises ContentUnavailable for an address written as such, which is never resolved."""
    host = URL(url).host or ""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return  # a name: the resolver decides
    check_public_address(host)


def check_public_address(address: str) -> None:
    """Raises ContentUnavailable (private, loopback, link-local, shared, multicast, …)."""
    ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    is_local = any(ip in network for network in _LOCAL if ip.version == network.version)
    if not ip.is_global or ip.is_multicast or is_local:
        raise ContentUnavailable(
            f"{address} is not a public address", hint="private addresses are switched off"
        )


def _unwrapped(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
