"""What of an operator's own words can stand in the node's profile: checked before it is on chain,
where nobody would say that callers can not use it."""

from yarl import URL

MAX_ENDPOINT_BYTES = 256
MAX_REGION_BYTES = 64


def check_endpoint(text: str) -> str:
    """As it is; empty is none. Raises ValueError, which says what is wrong."""
    if not text:
        return text
    url = _url(text)
    if url.query_string or url.fragment or url.user or url.password:
        raise ValueError("is more than an address: no user, query or fragment")
    if url.explicit_port is not None and url.is_default_port():
        raise ValueError(f"names the port that {url.scheme} has anyway: callers leave it out")
    return _short(text, MAX_ENDPOINT_BYTES)


def check_region(text: str) -> str:
    """As it is. Raises ValueError, which says what is wrong."""
    return _short(text, MAX_REGION_BYTES)


def _url(text: str) -> URL:
    wanted = "is not an http(s) URL, such as https://node.example"
    if any(character.isspace() for character in text):
        raise ValueError(wanted)
    try:
        url = URL(text)
    except ValueError:
        raise ValueError(wanted) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(wanted)
    return url


def _short(text: str, max_bytes: int) -> str:
    if len(text.encode()) > max_bytes:
        raise ValueError(f"is longer than the {max_bytes} bytes that the registry keeps")
    return text
