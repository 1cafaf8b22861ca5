"""Whose address on the net a request came from, as limits count it."""

from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

IPV6_COUNTED_BITS = 64  # what one household or machine gets


def counted_address(
    peer: str | None, forwarded_for: str | None, trusted_proxies: Collection[Network]
) -> str:
    """The socket's, or the last untrusted hop of `X-Forwarded-For` when the peer is trusted.

    An IPv6 address is counted by its /64: whoever has one has them all.
    """
    if forwarded_for is None:
        return _counted(peer or "")
    client = _parse(peer or "")
    if client is not None and _is_trusted(client, trusted_proxies):
        client = _last_untrusted(client, forwarded_for, trusted_proxies)
    return _written(client)


@lru_cache(maxsize=4096)  # most requests come from where the last ones came from
def _counted(peer: str) -> str:
    return _written(_parse(peer))


def _written(client: Address | None) -> str:
    if client is None:
        return "unknown"
    if isinstance(client, IPv6Address):
        return str(IPv6Network((client, IPV6_COUNTED_BITS), strict=False))
    return str(client)


def _last_untrusted(nearest: Address, hops: str, trusted_proxies: Collection[Network]) -> Address:
    """Hops are read from our side on; what stands before a stranger's address is hearsay."""
    for text in reversed(hops.split(",")):
        hop = _parse(text.strip())
        if hop is None:
            return nearest
        nearest = hop
        if not _is_trusted(hop, trusted_proxies):
            return hop
    return nearest


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_trusted(address: Address, trusted_proxies: Collection[Network]) -> bool:
    return any(address in network for network in trusted_proxies)
