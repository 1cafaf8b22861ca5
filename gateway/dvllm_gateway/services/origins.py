"""Under which names callers reach this gateway: what they sign must name one of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from decentralized_vllm.protocol.errors import SettingError

_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class PublicOrigins:
    """`origins` are `scheme://host[:port]`, the first one being what the gateway calls itself.

    `authorities` are their `host[:port]`, also with the port written out where it is the default.
    """

    origins: tuple[str, ...]
    authorities: frozenset[str]

    @classmethod
    def of(cls, urls: Iterable[str]) -> Self:
        """Raises SettingError."""
        found = tuple(dict.fromkeys(_setting(url) for url in urls))
        if not found:
            raise SettingError("http.public_origins", "is empty")
        return cls(found, frozenset(name for origin in found for name in _authorities(origin)))

    @property
    def own_domain(self) -> str:
        return urlsplit(self.origins[0]).netloc

    @property
    def own_uri(self) -> str:
        return self.origins[0]

    def has_uri(self, uri: str) -> bool:
        return _origin(uri) in self.origins

    def has_domain(self, domain: str, scheme: str | None) -> bool:
        """Of a login message, where the scheme may be left out."""
        if scheme is None:
            return domain.lower() in self.authorities
        return _origin(f"{scheme}://{domain}") in self.origins


def _setting(url: str) -> str:
    origin = _origin(url)
    if origin is None:
        raise SettingError("http.public_origins", f"{url!r} is not like https://gateway.example")
    return origin


def _origin(uri: str) -> str | None:
    """None for what has no origin, and for an authority with a user name in it."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is None or port == _DEFAULT_PORTS[parts.scheme]:
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{port}"


def _authorities(origin: str) -> tuple[str, ...]:
    parts = urlsplit(origin)
    if parts.port is not None:
        return (parts.netloc,)
    return parts.netloc, f"{parts.netloc}:{_DEFAULT_PORTS[parts.scheme]}"
