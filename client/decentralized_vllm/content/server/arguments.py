"""Reads the parameters of RPC calls."""

from aiohttp import web

from decentralized_vllm.protocol.errors import PermanentError


class BadArgument(PermanentError):
    """A parameter is missing, malformed or asks for what this server does not do."""


def text(request: web.Request, name: str, default: str | None = None) -> str:
    value = request.query.get(name, default)
    if not value:
        raise BadArgument(f"argument {name!r} is required")
    return value


def texts(request: web.Request, name: str) -> list[str]:
    values = request.query.getall(name, [])
    if not values:
        raise BadArgument(f"argument {name!r} is required")
    return values


def flag(request: web.Request, name: str, default: bool = False) -> bool:
    value = request.query.get(name)
    if value is None:
        return default
    if value.lower() in ("true", "1", ""):
        return True
    if value.lower() in ("false", "0"):
        return False
    raise BadArgument(f"{name}={value} is neither true nor false")


def number(request: web.Request, name: str) -> int | None:
    """A count of zero or more; None if it is not given."""
    value = request.query.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise BadArgument(f"{name}={value} is not a number from 0 on")
    return int(value)
