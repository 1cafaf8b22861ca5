"""How this listener says no."""

from aiohttp import web
from pydantic import ValidationError


def refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def first_problem(error: ValidationError) -> str:
    """What is wrong with a body, without repeating what it holds."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
