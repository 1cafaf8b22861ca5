"""How this listener says no."""

from aiohttp import web


def refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
